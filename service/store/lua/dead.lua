#!lua flags=no-writes,allow-oom
-- Every dead letter: name, and when and why, in turn. With a name, just that one, or nothing.
local letters, name = KEYS[1] .. ':dead', ARGV[1]
if not name then return redis.call('HGETALL', letters) end
local found = redis.call('HGET', letters, name)
return found and { name, found } or {}
