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

-- Takes a Chat binding out of the desired state. It stays noted in the identity's map until its removal is settled.
local function drop_chat(key, settle, reason)
  local c = key ~= NO_LINK and get('k', key) or nil
  if not c or c.channels == 0 then return end
  forget_pointer(c.device, KIND[c.type]:upper(), key)
  c.channels, c.past, c.version, c.updated = 0, '', next_version(), NOW
  if c.chat == FAILED then undead('h', key) end
  if settle or c.chat == NONE then
    put('k', key, nil)
    local out, packed = {}, get('c', c.owner) or ''
    for at = 1, #packed, 12 do
      if packed:sub(at, at + 11) ~= key then out[#out + 1] = packed:sub(at, at + 11) end
    end
    put('c', c.owner, #out > 0 and table.concat(out) or nil)
  else
    c.chat = PENDING
    put('k', key, c)
    mark('h', c.owner)
  end
  emit('t', 'removed', 'c', 'chat', 'f', key, 's', c.nonce, 'u', c.owner, 'r', reason)
end

-- Takes channels out of a registration; without any left it is removed: invisible at once (contract 2), its record
-- kept until every backend has confirmed it. With `inherited` its Chat binding lives on under another registration of
-- the same identity. Answers whether there was anything to take.
local function take_out(id, r, channels, settle, reason, by, inherited)
  local going = bit.band(r.channels, channels)
  if going == 0 then return false end
  r.channels = without(r.channels, going)
  r.version, r.updated, r.attempts = next_version(), NOW, 0
  if has(going, CHAT) then
    if not inherited then drop_chat(r.link, settle, reason) end
    local c = not inherited and get('k', r.link) or nil
    r.chat = c and PENDING or NONE
    if not c then r.link = NO_LINK end
  end
  if has(going, NOTIFY) then
    if r.notify == FAILED then undead('n', id) end
    r.past, r.notify = '', settle and NONE or PENDING
    if not settle then mark('n', id) end
  end
  enter(r.owner, id, r.channels)
  if r.channels == 0 then forget_pointer(r.device, KIND[r.type], id) end
  if r.channels == 0 and r.notify == NONE and r.chat == NONE then put('r', id, nil) else put('r', id, r) end
  local event = { 't', 'removed', 'c', has(going, NOTIFY) and 'notify' or 'chat', 'f', id,
    'g', string.format('%.0f', r.generation), 's', r.nonce, 'u', r.owner, 'r', reason }
  if by and by ~= r.owner then event[#event + 1] = 'o'; event[#event + 1] = by end
  emit(unpack(event))
  return true
end
