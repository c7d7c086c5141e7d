#!lua flags=allow-oom
-- Takes due identities of a Chat lane, leased as take.lua describes, with every Chat binding noted for each of them.
-- Answers {token, {owner, key, record, key, record, …}, …}.
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
local answer = { '' }
for n, owner in ipairs(due) do
  local work, noted = { owner }, get('c', owner) or ''
  for at = 1, #noted, 12 do
    local id = noted:sub(at, at + 11)
    work[#work + 1] = id
    work[#work + 1] = redis.call('HGET', bucket('k', id), id) or ''
  end
  answer[n + 1] = work
end

local turn = redis.call('HINCRBY', A, 'lease', 1) % 4096
answer[1] = string.format('%.17g', NOW_MS + lease_ms + turn / 4096)
redis.call('SET', flag, '1', 'PX', FLAG_MS)
for _, owner in ipairs(due) do redis.call('ZADD', key, answer[1], owner) end
return answer
