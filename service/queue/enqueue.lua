#!lua flags=allow-oom
-- One job in arq's format (its key with an expiry, its id in the queue), and a ring of the bell, which idle workers
-- wait at. A ring lasts until one of them takes it; more rings than workers could use are dropped. A job is small and
-- may be what frees memory, so it is queued even when there is none.
local queue, bell, id, payload, score, expiry_ms = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
redis.call('SET', 'arq:job:' .. id, payload, 'PX', expiry_ms)
redis.call('ZADD', queue, score, id)
redis.call('LPUSH', bell, '')
redis.call('LTRIM', bell, 0, 63)
return 1
