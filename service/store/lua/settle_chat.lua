#!lua flags=allow-oom
-- Settles one leased identity of a Chat lane: the outcome for each of its Chat bindings, by version, under one lease.
-- Outcomes as in settle.lua, 'none' for a binding that needed nothing. An identity leaves the ledger once nothing of it
-- is pending; one that was marked anew meanwhile is due already, and nothing of the lost lease is written.
--
-- Answers 1 if the lease still held.
--@include record
--@include unit

local lane, token, external, events_max, owner = unpack(ARGV, 1, 5)
local key = A .. ':' .. lane
local score = redis.call('ZSCORE', key, owner)
local holds = score and tonumber(score) == tonumber(token)
local again, letters = nil, {}

local function finish(id, c)
  put('k', id, nil)
  local out, noted = {}, get('c', owner) or ''
  for at = 1, #noted, 12 do
    if noted:sub(at, at + 11) ~= id then out[#out + 1] = noted:sub(at, at + 11) end
  end
  put('c', owner, #out > 0 and table.concat(out) or nil)
  local r = get('r', c.link)
  if r and r.link == id and not has(r.channels, CHAT) then
    r.chat, r.link = NONE, NO_LINK
    if r.channels == 0 and r.notify == NONE then put('r', c.link, nil) else put('r', c.link, r) end
  end
  emit('t', 'ended', 'c', 'chat', 'f', id, 's', c.nonce, 'u', owner)
end

local function observe(id, c, state)
  c.chat = state
  put('k', id, c)
  local r = get('r', c.link)
  if r and r.link == id and r.chat ~= state then
    r.chat, r.updated = state, NOW
    put('r', c.link, r)
  end
end

for n = 6, #ARGV, 5 do
  local id, seen, outcome, delay, why = unpack(ARGV, n, n + 4)
  local c = get('k', id)
  if holds and c and c.version == tonumber(seen) then
    if outcome == 'held' then
      c.past, c.attempts, c.updated = '', 0, NOW
      observe(id, c, APPLIED)
      emit('t', 'applied', 'c', 'chat', 'f', id, 's', c.nonce, 'u', owner)
    elseif outcome == 'gone' then
      finish(id, c)
    elseif outcome == 'later' or outcome == 'back' then
      if outcome == 'later' then c.attempts = math.min(c.attempts + 1, 255) end
      put('k', id, c)
      again = math.min(again or math.huge, NOW_MS + tonumber(delay))
    elseif outcome == 'dead' then
      observe(id, c, FAILED)
      letters[#letters + 1] = { 'h' .. id, struct.pack('<I4', NOW) .. why }
      emit('t', 'failed', 'c', 'chat', 'f', id, 'u', owner)
    end
  elseif c and external == '1' and outcome ~= 'none' then
    if c.chat == APPLIED then c.past = applied_section(c, APPLIED) end
    observe(id, c, UNKNOWN)
    again = NOW_MS
  end
end

redis.call('EXISTS', A .. ':dead', key)
commit(events_max)
if again then
  redis.call('ZADD', key, again, owner)
elseif holds then
  redis.call('ZREM', key, owner)
end
for _, letter in ipairs(letters) do redis.call('HSET', A .. ':dead', letter[1], letter[2]) end
return holds and 1 or 0
