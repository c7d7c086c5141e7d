#!lua flags=no-writes,allow-oom
-- Events of a Service before the id ARGV[1], the latest first, at most ARGV[2]. Answers what XREVRANGE does.

return redis.call('XREVRANGE', KEYS[1] .. ':e', ARGV[1], '-', 'COUNT', ARGV[2])
