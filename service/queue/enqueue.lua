#!lua flags=allow-oom
-- One job in arq's format (its key with an expiry, its id in the queue), and a ring of the bell, which idle workers
-- wait at. A ring lasts until one of them takes it; more rings than workers could use are dropped. A job is small and
-- may be what frees memory, so it is queued even when there is none.
--
-- While no worker is there jobs expire and their ids stay: those that come after them let them go, a few at a time, so that
-- the queue never holds more than lives. That is seen by the job, not by the score: clocks of producers may differ.
local queue, bell, id, payload, score, expiry_ms = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
redis.call('SET', 'arq:job:' .. id, payload, 'PX', expiry_ms)
for _, first in ipairs(redis.call('ZRANGE', queue, 0, 7)) do
  if redis.call('EXISTS', 'arq:job:' .. first) == 0 then redis.call('ZREM', queue, first) end
end
redis.call('ZADD', queue, score, id)
redis.call('LPUSH', bell, '')
redis.call('LTRIM', bell, 0, 63)
return 1
