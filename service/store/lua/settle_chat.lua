#!lua flags=allow-oom
-- Settles one leased identity of a Chat lane: the outcome for each of its Chat bindings, by version, under one lease.
-- Outcomes as in settle.lua, for the bindings that needed something. An identity leaves the ledger once nothing of it
-- is pending; one that was marked anew meanwhile is due already, and nothing of the lost lease is written.
--
-- Answers 1 if the lease still held.
--@include record
--@include unit
--@include changes

local lane, token, upstreams, events_max, owner = unpack(ARGV, 1, 5)
external = upstreams == '1' and CHAT or 0
local key = A .. ':' .. lane
local score = redis.call('ZSCORE', key, owner)
local holds = score and tonumber(score) == tonumber(token)
local again, ended, told = nil, {}, {}

local function observe(id, c, state)
  if c.chat == FAILED then undead('h', id) end
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
  told[id] = true
  if holds and c and c.version == tonumber(seen) then
    if outcome == 'held' then
      c.past, c.attempts, c.updated = '', 0, NOW
      observe(id, c, APPLIED)
      tell('applied', CHAT, id, c)
    elseif outcome == 'gone' then
      ended[id] = c
    elseif outcome == 'later' or outcome == 'back' then
      if outcome == 'later' then c.attempts = math.min(c.attempts + 1, 255) end
      put('k', id, c)
      again = math.min(again or math.huge, NOW_MS + tonumber(delay))
    elseif outcome == 'dead' then
      observe(id, c, FAILED)
      bury('h', id, why)
      tell('failed', CHAT, id, c)
    end
  elseif c and external > 0 then
    c.past = applied_section(c, c.chat)
    observe(id, c, UNKNOWN)
    again = NOW_MS
  end
end
if next(ended) then end_chats(owner, ended) end
if external > 0 and holds then
  -- A mark breaks no lease there, so that what came meanwhile is looked for here.
  local noted = get('c', owner) or ''
  for at = 1, #noted, 12 do
    local id = noted:sub(at, at + 11)
    local c = get('k', id)
    if c and not told[id] and (c.chat == PENDING or c.chat == UNKNOWN) then again = NOW_MS end
  end
end

redis.call('EXISTS', key)
commit(events_max)
if again and not holds and score and tonumber(score) % 1 ~= 0 then
  -- Somebody else is at it. Breaking that lease would have the two break each other's for ever; it finds what is unknown now.
  again = nil
end
if again then
  redis.call('ZADD', key, again, owner)
elseif holds then
  redis.call('ZREM', key, owner)
end
return holds and 1 or 0
