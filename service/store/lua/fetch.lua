#!lua flags=no-writes,allow-oom
-- One record, or nil.
return redis.call('HGET', KEYS[1] .. ':' .. ARGV[1] .. ARGV[2]:sub(1, 2), ARGV[2])
