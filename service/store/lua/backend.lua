#!lua flags=no-writes,allow-oom
-- Where a Service's bindings are kept: 'embedded' once it has been cut over, nothing while it is as configured.
return redis.call('HGET', KEYS[1], 'backend')
