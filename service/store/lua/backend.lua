#!lua flags=no-writes,allow-oom
-- The channels for which a Service has been cut over to this store, as a number; nothing while it is as configured.
return redis.call('HGET', KEYS[1], 'backend')
