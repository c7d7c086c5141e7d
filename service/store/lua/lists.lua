#!lua flags=allow-oom
-- What an upstream has been asked for lately, and what it is to be asked for yet. Keys with a lifetime say of each name (of
-- an identity, or of a SID): 'c' and since when, somebody is asking; 'o', owed, workers will; 'f', the answer still counts.
--
-- 'claim': answers {now in ms, for each name: 'c' the caller is to ask, 'w' somebody is asking, 'o' nobody is worth waiting
-- for, 'f' nothing to ask}. 'done': asked at `began`, with the lifetime of each answer; with a token, by workers.
-- 'put_off': those taken with this token are due again after so many ms.
-- 'owe': workers are to ask for these identities. A lifetime says that a caller has asked, and failed: for so long no other
-- is to try. Without one, what was known counts no more. 'take': answers {token, now in ms, identity, …}.

local A, ask = KEYS[1], ARGV[1]
local clock = redis.call('TIME')
local NOW_MS = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local NOW = string.format('%.0f', NOW_MS)
local owed = A .. ':l'
local PATIENCE_MS, MOST, ASTRAY_MS = 1000, 100000, 600000

local function key(name) return A .. ':m' .. name end

if ask == 'claim' then
  local lifetime, keys, answer = ARGV[2], {}, { NOW }
  for n = 3, #ARGV do keys[#keys + 1] = key(ARGV[n]) end
  local found = redis.call('MGET', unpack(keys))
  for n, state in ipairs(found) do
    local kind = state and state:sub(1, 1)
    if not kind then
      redis.call('SET', keys[n], 'c' .. NOW, 'PX', lifetime)
      kind = 'c'
    elseif kind == 'c' then
      local since = NOW_MS - tonumber(state:sub(2))
      kind = since >= 0 and since < PATIENCE_MS and 'w' or 'o'
    end
    answer[#answer + 1] = kind
  end
  return answer
elseif ask == 'done' then
  local began, token, keys = ARGV[2], ARGV[3], { owed }
  for n = 4, #ARGV, 3 do keys[#keys + 1] = key(ARGV[n]) end
  local found = redis.call('MGET', unpack(keys, 2))
  redis.call('EXISTS', unpack(keys))
  for n = 4, #ARGV, 3 do
    local name, identity, lifetime = unpack(ARGV, n, n + 2)
    local at = (n - 4) / 3 + 1
    local state = found[at]
    -- A logout that came meanwhile has wiped the claim, and wants the identity to be listed anew.
    if state == 'c' .. began or (token ~= '' and (not state or state:sub(1, 1) == 'o')) then
      redis.call('SET', keys[at + 1], 'f', 'PX', lifetime)
    end
    local score = identity ~= '' and redis.call('ZSCORE', owed, identity)
    if score and (tonumber(score) == tonumber(token) or tonumber(score) < tonumber(began)) then redis.call('ZREM', owed, identity) end
  end
  return 1
elseif ask == 'put_off' then
  local token, later = tonumber(ARGV[2]), string.format('%.0f', NOW_MS + tonumber(ARGV[3]))
  for n = 4, #ARGV do
    local score = redis.call('ZSCORE', owed, ARGV[n])
    if score and tonumber(score) == token then redis.call('ZADD', owed, later, ARGV[n]) end
  end
  return 1
elseif ask == 'owe' then
  local keys = { owed }
  for n = 2, #ARGV, 3 do keys[#keys + 1] = key(ARGV[n]) end
  redis.call('EXISTS', unpack(keys))
  local full = redis.call('ZCARD', owed) >= MOST
  for n = 2, #ARGV, 3 do
    local name, identity, lifetime = unpack(ARGV, n, n + 2)
    if lifetime ~= '' then
      redis.call('SET', key(name), 'o', 'PX', lifetime)
    else
      redis.call('DEL', key(name))
    end
    if identity ~= '' and not (full and lifetime ~= '') then redis.call('ZADD', owed, NOW, identity) end
  end
  return 1
end

local limit, lease_ms = ARGV[2], tonumber(ARGV[3])
local due = redis.call('ZRANGEBYSCORE', owed, '-inf', NOW, 'LIMIT', 0, limit)
-- The store's clock was set back.
if #due == 0 then due = redis.call('ZRANGEBYSCORE', owed, NOW_MS + ASTRAY_MS, '+inf', 'LIMIT', 0, limit) end
if #due == 0 then return {} end
redis.call('EXISTS', A)
local turn = redis.call('HINCRBY', A, 'lease', 1) % 4095 + 1
local token = string.format('%.17g', NOW_MS + lease_ms + turn / 4096)
for _, identity in ipairs(due) do redis.call('ZADD', owed, token, identity) end
return { token, NOW, unpack(due) }
