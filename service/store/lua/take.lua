#!lua flags=allow-oom
-- Takes due entries of a Notify lane: each is leased, its score moved to the lease's end. That score is the lease token:
-- its fraction comes from a counter, so that no two leases of an entry share it, and whatever marks the entry anew
-- breaks the lease with it.
--
-- The wake flag is held while the lane has due entries and cleared by the take that finds none, in the same step: a
-- registration either is seen by this take or asks for a job. Answers {token, fingerprint, record, score, …}: a score tells
-- since when the entry was owed, as workers show it in their metrics.
--@include record
--@include unit

local lane, limit, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key, flag = A .. ':' .. lane, A .. ':w' .. lane

local due = redis.call('ZRANGEBYSCORE', key, '-inf', NOW_MS, 'WITHSCORES', 'LIMIT', 0, limit)
if #due == 0 then
  redis.call('DEL', flag)
  return {}
end
redis.call('EXISTS', A, flag)
local answer, rows = {}, {}
for n = 1, #due, 2 do rows[n] = redis.call('HGET', bucket('r', due[n]), due[n]) end

-- Never a whole number of milliseconds, as marks and delays are.
local turn = redis.call('HINCRBY', A, 'lease', 1) % 4095 + 1
local token = string.format('%.17g', NOW_MS + lease_ms + turn / 4096)
redis.call('SET', flag, '1', 'PX', FLAG_MS)
answer[1] = token
local leased, stray = {}, {}
for n = 1, #due, 2 do
  local id = due[n]
  if rows[n] then
    leased[#leased + 1], leased[#leased + 2] = token, id
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = id, rows[n], due[n + 1]
  else
    stray[#stray + 1] = id
  end
end
-- In this order: a lane that loses its last entry is no key any more.
if #leased > 0 then redis.call('ZADD', key, unpack(leased)) end
if #stray > 0 then redis.call('ZREM', key, unpack(stray)) end
return answer
