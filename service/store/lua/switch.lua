#!lua flags=allow-oom
-- Where a Service's bindings are kept. ask 'over': in this store from now on; 'back': where they are configured to be, and what
-- has changed since is to be sent there; 'done': it has been; '': just looks.
-- The time of a switch counts, if both sides agreed then: what is there from before, and unknown here, has gone here since.
-- Answers {backend, when it was switched over in seconds, when what is being taken back was}.

local A, ask = KEYS[1], ARGV[1]
local found = redis.call('HMGET', A, 'schema', 'backend', 'switched', 'undo')
if not found[1] then error({ err = 'NOANCHOR the store has not been opened' }) end
if ask == 'over' and not found[2] then
  redis.call('HSET', A, 'backend', 'embedded', 'switched', ARGV[2] == '1' and redis.call('TIME')[1] or '0')
  redis.call('HDEL', A, 'undo')
elseif ask == 'back' and found[2] then
  redis.call('HSET', A, 'undo', found[3])
  redis.call('HDEL', A, 'backend', 'switched')
elseif ask == 'done' then
  redis.call('HDEL', A, 'undo')
end
found = redis.call('HMGET', A, 'backend', 'switched', 'undo')
return { found[1] or '', found[2] or '0', found[3] or '' }
