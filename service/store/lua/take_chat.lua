#!lua flags=allow-oom
-- Takes due identities of a Chat lane, leased as take.lua describes, with every Chat binding noted for each of them.
-- Answers {token, {owner, score, key, record, key, record, …}, …}.
--@include record
--@include unit

local MOST_RECORDS = 500
local lane, limit, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key, flag = A .. ':' .. lane, A .. ':w' .. lane

local due = redis.call('ZRANGEBYSCORE', key, '-inf', NOW_MS, 'WITHSCORES', 'LIMIT', 0, limit)
if #due == 0 then
  redis.call('DEL', flag)
  return {}
end
redis.call('EXISTS', A, flag)
local answer, owners, records = { '' }, {}, 0
for n = 1, #due, 2 do
  local owner = due[n]
  local work, noted = { owner, due[n + 1] }, get('c', owner) or ''
  records = records + #noted / 12
  -- Bounded by bindings, not by identities alone: what one call holds the server for.
  if n > 1 and records > MOST_RECORDS then break end
  for at = 1, #noted, 12 do
    local id = noted:sub(at, at + 11)
    work[#work + 1] = id
    work[#work + 1] = redis.call('HGET', bucket('k', id), id) or ''
  end
  owners[#owners + 1], answer[#answer + 1] = owner, work
end

-- Never a whole number of milliseconds, as marks and delays are.
local turn = redis.call('HINCRBY', A, 'lease', 1) % 4095 + 1
answer[1] = string.format('%.17g', NOW_MS + lease_ms + turn / 4096)
redis.call('SET', flag, '1', 'PX', FLAG_MS)
for _, owner in ipairs(owners) do redis.call('ZADD', key, answer[1], owner) end
return answer
