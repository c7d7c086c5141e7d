-- Changes of desired state that several transactions make.

-- Entries of an identity's map: 12 bytes of fingerprint and one of desired channels.
local function entries(owner)
  local list, packed = {}, get('i', owner) or ''
  for at = 1, #packed, 13 do list[#list + 1] = { packed:sub(at, at + 11), packed:byte(at + 12) } end
  return list
end

-- An empty map stays: it is how a Service remembers an identity that it has seen.
local function enter(owner, id, channels)
  local out, packed = {}, get('i', owner) or ''
  for at = 1, #packed, 13 do
    if packed:sub(at, at + 11) ~= id then out[#out + 1] = packed:sub(at, at + 12) end
  end
  if channels ~= 0 then out[#out + 1] = id .. string.char(channels) end
  put('i', owner, table.concat(out))
end

local function forget_pointer(id, kind, target)
  if kind and get('p', id .. kind) == target then put('p', id .. kind, nil) end
end

local NAMES = { 'notify', 'chat', 'notify,chat' }

local function tell(kind, channels, id, r, reason, other)
  local event = { 't', kind, 'c', NAMES[channels], 'f', id, 'g', string.format('%.0f', r.generation), 's', r.nonce, 'u',
    r.owner }
  if reason then event[#event + 1] = 'r'; event[#event + 1] = reason end
  if other and other ~= r.owner then event[#event + 1] = 'o'; event[#event + 1] = other end
  events[#events + 1] = event
end

-- A removed registration whose every channel has ended goes.
local function rest(id, r)
  if r.channels == 0 and r.notify == NONE and r.chat == NONE then put('r', id, nil) else put('r', id, r) end
end

-- Chat bindings that have ended go, from their identity's map too, and their registrations wait for them no more.
local function end_chats(owner, ended)
  local out, noted = {}, get('c', owner) or ''
  for at = 1, #noted, 12 do
    local id = noted:sub(at, at + 11)
    if not ended[id] then out[#out + 1] = id end
  end
  for id, c in pairs(ended) do
    if c.chat == FAILED then undead('h', id) end
    put('k', id, nil)
    tell('ended', CHAT, id, c)
    local r = get('r', c.link)
    if r and r.link == id and not has(r.channels, CHAT) then
      r.chat, r.link = NONE, NO_LINK
      rest(c.link, r)
    end
  end
  put('c', owner, #out > 0 and table.concat(out) or nil)
end

-- Takes a Chat binding out of the desired state. It stays noted in the identity's map until its removal is settled.
-- `at_once` is the mask of channels whose backend is this store, for callers that do not wait for a worker.
local function drop_chat(key, at_once, reason)
  local c = key ~= NO_LINK and get('k', key) or nil
  if not c or c.channels == 0 then return end
  forget_pointer(c.device, KIND[c.type]:upper(), key)
  c.channels, c.past, c.version, c.updated = 0, '', next_version(), NOW
  if c.chat == FAILED then undead('h', key) end
  tell('removed', CHAT, key, c, reason)
  c.chat = PENDING
  if has(at_once, CHAT) then
    end_chats(c.owner, { [key] = c })
  else
    put('k', key, c)
    mark('h', c.owner)
  end
end

-- Takes channels out of a registration; without any left it is removed: invisible at once (contract 2), its record
-- kept until every backend has confirmed it. With `inherited` its Chat binding lives on under another registration of
-- the same identity. Answers whether there was anything to take.
local function take_out(id, r, channels, at_once, reason, by, inherited)
  local going = bit.band(r.channels, channels)
  if going == 0 then return false end
  r.channels = without(r.channels, going)
  r.version, r.updated, r.attempts = next_version(), NOW, 0
  tell('removed', going, id, r, reason, by)
  if has(going, CHAT) then
    if not inherited then drop_chat(r.link, at_once, reason) end
    local c = not inherited and get('k', r.link) or nil
    r.chat = c and PENDING or NONE
    if not c then r.link = NO_LINK end
  end
  if has(going, NOTIFY) then
    if r.notify == FAILED then undead('n', id) end
    r.past, r.notify = '', PENDING
    if has(at_once, NOTIFY) then
      r.notify = NONE
      tell('ended', NOTIFY, id, r)
    else
      mark('n', id)
    end
  end
  enter(r.owner, id, r.channels)
  if r.channels == 0 then forget_pointer(r.device, KIND[r.type], id) end
  rest(id, r)
  return true
end
