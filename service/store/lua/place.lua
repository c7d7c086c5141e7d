#!lua flags=allow-oom
-- How far an import has come, for whoever goes on with it. ask 'get': answers what was noted, or nothing. 'set': notes it,
-- for so many seconds; 'clear' forgets it.

local key = KEYS[1] .. ':import:' .. ARGV[2]
redis.call('EXISTS', key)
if ARGV[1] == 'get' then return redis.call('GET', key) end
if ARGV[1] == 'set' then return redis.call('SET', key, ARGV[3], 'EX', ARGV[4]) end
return redis.call('DEL', key)
