#!lua flags=allow-oom
-- Takes due entries of a Notify lane: each is leased, its score moved to the lease's end. That score is the lease token:
-- its fraction comes from a counter, so that no two leases of an entry share it, and whatever marks the entry anew
-- breaks the lease with it.
--
-- The wake flag is held while the lane has due entries and cleared by the take that finds none, in the same step: a
-- registration either is seen by this take or asks for a job. Answers {token, fingerprint, record, …}.
--@include record
--@include unit

local lane, limit, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key, flag = A .. ':' .. lane, A .. ':w' .. lane

local due = redis.call('ZRANGEBYSCORE', key, '-inf', NOW_MS, 'LIMIT', 0, limit)
if #due == 0 then
  redis.call('DEL', flag)
  return {}
end
redis.call('EXISTS', A, flag)
local answer, rows = {}, {}
for n, id in ipairs(due) do rows[n] = redis.call('HGET', bucket('r', id), id) end

-- Never a whole number of milliseconds, as marks and delays are.
local turn = redis.call('HINCRBY', A, 'lease', 1) % 4095 + 1
local token = string.format('%.17g', NOW_MS + lease_ms + turn / 4096)
redis.call('SET', flag, '1', 'PX', FLAG_MS)
answer[1] = token
for n, id in ipairs(due) do
  if rows[n] then
    redis.call('ZADD', key, token, id)
    answer[#answer + 1] = id
    answer[#answer + 1] = rows[n]
  end
end
for n, id in ipairs(due) do
  if not rows[n] then redis.call('ZREM', key, id) end
end
return answer
