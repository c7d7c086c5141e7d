-- Changes of desired state that several transactions make.

-- Traces: what an upstream has, or may have, for an address. Each has the SID, zeros if none is known, and the type and
-- attributes that were sent; those equal to the record's own are kept as nothing. The first one with a SID is shown.
local MOST_TRACES = 16

local function traces_of(r)
  local list, at = {}, 1
  while r.traces and at <= #r.traces do
    local t, length = {}, nil
    t.type, t.sid, length, at = struct.unpack(TRACE, r.traces, at)
    t.attributes = length > 0 and r.traces:sub(at, at + length - 1) or r.attributes
    list[#list + 1], at = t, at + length
  end
  return list
end

-- Makes these the traces of a record; SIDs that come and go are noted, and forgotten, as leading to it.
local function keep_traces(r, id, list, space)
  local stays, packed, name = {}, {}, (space or 'r') .. id
  while #list > MOST_TRACES do table.remove(list, list[1].sid == NO_SID and 1 or 2) end
  for _, t in ipairs(list) do
    stays[t.sid] = true
    local attributes = t.attributes == r.attributes and '' or t.attributes
    packed[#packed + 1] = struct.pack(TRACE, t.type, t.sid, #attributes) .. attributes
  end
  for _, t in ipairs(traces_of(r)) do
    if t.sid ~= NO_SID and not stays[t.sid] and get('a', t.sid) == name then put('a', t.sid, nil) end
  end
  for _, t in ipairs(list) do
    if t.sid ~= NO_SID and get('a', t.sid) ~= name then put('a', t.sid, name) end
  end
  r.traces = #packed > 0 and table.concat(packed) or nil
end

-- Adds the trace of a call that may have been made, or may yet come.
local function suspect(list, kind, attributes)
  for _, t in ipairs(list) do
    if t.attributes == attributes then return list end
  end
  list[#list + 1] = { type = kind, sid = NO_SID, attributes = attributes }
  return list
end

-- What a registration has to keep in mind of the one that it replaces: what an upstream may still hold of that.
local function carry(id, r)
  local list = traces_of(r)
  if leased('n', id) then suspect(list, r.type, r.attributes) end
  return list
end

-- The SID that a binding is shown under: the one that its upstream gave to just this, or our own.
local function shown_sid(id, r, section)
  for _, t in ipairs(traces_of(r)) do
    if t.sid ~= NO_SID and t.attributes == section:sub(14) then return t.sid end
  end
  return id .. section:sub(2, 5)
end

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
  local event = { 't', kind, 'c', NAMES[channels], 'f', id, 'g', string.format('%.0f', r.generation), 'u', r.owner }
  if reason then event[#event + 1] = 'r'; event[#event + 1] = reason end
  -- A registration's SID is that of its Notify binding; a Chat binding has a record, and events, of its own.
  if (has(channels, NOTIFY) or cache.r[id] ~= r) and r.nonce ~= NO_NONCE then
    event[#event + 1] = 's'; event[#event + 1] = r.nonce
    -- Where an upstream has given a SID, that is the one.
    local given = kind ~= 'registered' and r.traces and traces_of(r)[1].sid
    if given and given ~= NO_SID then event[#event + 1] = 'x'; event[#event + 1] = given end
  end
  if other and other ~= r.owner then event[#event + 1] = 'o'; event[#event + 1] = other end
  events[#events + 1] = event
end

-- A Notify binding ends once, and under the SID that it had.
local function tell_end(id, r)
  if r.notify ~= NONE and r.nonce ~= NO_NONCE then tell('ended', NOTIFY, id, r) end
end

-- For how long it is remembered that an address was given up here: where the upstream has confirmed that it holds nothing
-- of it, as long as a list may take; where it was not asked, until an audit must have seen what it holds.
local DEPARTED_MS, UNSEEN_MS = 120000, 604800000

local function departure_key(id) return A .. ':z' .. id end

-- That an address has been in doubt stays known for a while: a call of ours may come later than any should, and take along
-- what is there. The version that was in doubt, or, once that was made again for it, 's' and the version.
local function doubted_key(id) return A .. ':v' .. id end
local function spent(r) return string.format('s%.0f', r.version) end
local function doubted_ms(longest_ms) return math.max(600000, 10 * longest_ms) end

-- Of an address with an upstream: its record goes. Bindings that were made there before, or listed, are not adopted.
local function depart(id, lifetime)
  local key, write = departure_key(id), commit
  redis.call('EXISTS', key)
  -- Thus committing costs nothing where there is no upstream.
  commit = function(events_max)
    local wake = write(events_max)
    redis.call('SET', key, string.format('%.0f', NOW_MS), 'PX', lifetime)
    return wake
  end
  return true
end

-- A removed registration whose every channel has ended goes, unless an upstream may yet hold something of it.
local function rest(id, r)
  if r.channels == 0 and r.notify == NONE and r.chat == NONE and not r.doubt then
    if r.traces then keep_traces(r, id, {}) end
    put('r', id, nil)
  else
    put('r', id, r)
  end
end

-- An identity's Chat bindings are noted, 12 bytes each, until their removal is settled. It has been seen, by Chat alone too.
local function note_chat(owner, key)
  local noted = get('c', owner) or ''
  if not get('i', owner) then put('i', owner, '') end
  for at = 1, #noted, 12 do
    if noted:sub(at, at + 11) == key then return end
  end
  put('c', owner, noted .. key)
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
    tell('ended', CHAT, id, c)
    if c.traces then keep_traces(c, id, {}, 'k') end
    put('k', id, nil)
    local r = get('r', c.link)
    if r and r.link == id and not has(r.channels, CHAT) then
      r.chat, r.link = NONE, NO_LINK
      rest(c.link, r)
    end
  end
  put('c', owner, #out > 0 and table.concat(out) or nil)
end

-- Takes a Chat binding out of the desired state. It stays noted in the identity's map until its removal is settled.
-- `at_once` is the mask of channels whose backend is this store, for callers that do not wait for a worker; `by` is who
-- has taken it, if anybody has.
local function drop_chat(key, at_once, reason, by)
  local c = key ~= NO_LINK and get('k', key) or nil
  if not c or c.channels == 0 then return end
  forget_pointer(c.device, KIND[c.type]:upper(), key)
  c.channels, c.past, c.version, c.updated, c.attempts = 0, '', next_version(), NOW, 0
  if c.chat == FAILED then undead('h', key) end
  tell('removed', CHAT, key, c, reason, by)
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
    if not inherited then drop_chat(r.link, at_once, reason, by) end
    local c = not inherited and get('k', r.link) or nil
    r.chat = c and PENDING or NONE
    if not c then r.link = NO_LINK end
  end
  if has(going, NOTIFY) then
    if r.notify == FAILED then undead('n', id) end
    r.past, r.notify, r.full = '', PENDING, nil
    -- An upstream that was never told of it has nothing to forget, and one where it has vanished nothing any more.
    local vanished = reason == 'vanished'
    local untold = has(external, NOTIFY) and (vanished or not r.traces) and not r.doubt and not leased('n', id)
      and (vanished or depart(id, UNSEEN_MS))
    if untold or has(at_once, NOTIFY) then
      tell_end(id, r)
      r.notify = NONE
      if vanished then keep_traces(r, id, {}) end
    else
      mark('n', id)
    end
  end
  enter(r.owner, id, r.channels)
  if r.channels == 0 then forget_pointer(r.device, KIND[r.type], id) end
  rest(id, r)
  return true
end
