#!lua
-- Bindings that were found at an upstream, or in a file, become records of ours, unless we know better.
--
-- Modes: 'cold' and 'audit', what an upstream lists: what is registered here counts for more, and what a logout has covered
-- becomes a removed record, so that it is deleted there. 'import', an explicit command: the newer one wins.
-- `began`: when the list was asked for, in milliseconds by this store's clock, or ''. One that is older than what is kept of
-- departed records is refused.
--
-- Answers {lanes to wake, one outcome for each row}; 'dry' writes nothing.
--@include record
--@include unit
--@include changes
--@include fences

local MOST_AGE_MS = 60000
local mode, dry, began, longest_ms, upstreams, most, no_extras, events_max = unpack(ARGV, 1, 8)
local FIRST, WIDTH = 9, 11
local importing = mode == 'import'
longest_ms, external, most = tonumber(longest_ms), tonumber(upstreams), tonumber(most)
local at_once = without(bit.bor(NOTIFY, CHAT), external)

local answer = { '' }
if began == '' then
  began = math.huge
else
  began = tonumber(began)
  if began > NOW_MS or NOW_MS - began > MOST_AGE_MS then
    for _ = FIRST, #ARGV, WIDTH do answer[#answer + 1] = 'stale' end
    return answer
  end
end

-- Whether a logout covers a binding of then. An identity's spares messaging, an address's does not.
local function logged_out(owner, id, kind, channel, updated)
  local found = redis.call('MGET', fence_key('i', owner, ''), fence_key('a', owner, id))
  for n = 1, 2 do
    if found[n] and (n == 2 or KIND[kind]) then
      local notify, chat = struct.unpack(FENCE, found[n])
      local at = channel == NOTIFY and notify or chat
      if at > 0 and updated <= at then return true end
    end
  end
  return false
end

-- Whether the address was somebody's here and has been given up since the binding was made, or since it was listed.
local function departed(id, updated)
  local ms = redis.call('GET', departure_key(id))
  ms = ms and tonumber(ms) or nil
  return ms and (ms >= began or updated <= math.floor(ms / 1000))
end

-- While a cut-over is being undone: whether the binding was known here when its Service was switched, or made by a call that was
-- under way then, which may come even later. If there is nothing of it any more, it was given up in this store meanwhile, of
-- which its upstream has yet to hear.
local undone = redis.call('HMGET', A, 'undo1', 'undo2', 'late1')
local function given_up_here(channel, updated)
  local at = has(external, channel) and tonumber(undone[channel] or channel == NOTIFY and undone[3] or 0) or 0
  return at > 0 and updated <= at
end

local function knows(r, id, sid)
  for _, t in ipairs(traces_of(r)) do
    if t.sid == sid then return true end
  end
  return not r.traces and id .. r.nonce == sid
end

-- Whether something has changed here since the list was asked for, to the second of our times.
local function changed_since(r) return began < math.huge and r.updated * 1000 + 999 >= began end

local function latest(r) return math.max(r.created, r.seen) end

local function entitle(r, id, row, others, space)
  local list = others or {}
  -- Our own SID, come back, needs no noting.
  if has(external, space == 'r' and NOTIFY or CHAT) or id .. row.nonce ~= row.sid then
    table.insert(list, 1, { type = row.type, sid = row.sid, attributes = row.attributes })
  end
  keep_traces(r, id, list, space)
end

-- Notify: one record for an address. ----------------------------------------------------------------------------------

-- The upstream holds what we know nothing of: a worker lists the address before anything is done about it.
local function look_into(id, r, row)
  keep_traces(r, id, suspect(traces_of(r), row.type, row.attributes))
  r.doubt = NOW_MS + longest_ms
  put('r', id, r)
  mark('n', id)
end

-- What was listed may have gone since: a worker lists the address before it believes that it is there, or needs no call.
local function list_first(r, before) r.doubt = math.max(before and before.doubt or 0, NOW_MS) end

local function insert(id, row, r, ended)
  local live = r and r.channels ~= 0 and r or nil
  local former = live and live.owner ~= row.owner and live.owner or nil
  -- Its device and its Chat binding stay the same identity's, unless the address turns out to be of another kind.
  local own = live and not former and KIND[row.type] == KIND[live.type] and live or nil
  if live and not own then
    forget_pointer(live.device, KIND[live.type], id)
    drop_chat(live.link, at_once, former and 'taken' or 'rotated', row.owner)
    if former then enter(former, id, 0) end
  end
  if r and r.notify == FAILED then undead('n', id) end
  local this = next_version()
  local channels = ended and 0 or bit.bor(NOTIFY, own and own.channels or 0)
  -- Where there was a record before, a worker looks once more at what is there.
  local notify = has(external, NOTIFY) and (r or ended) and PENDING or APPLIED
  local past = own and notify == PENDING and has(own.channels, NOTIFY) and applied_section(own, own.notify) or ''
  local new = { type = row.type, channels = channels, notify = notify, chat = own and own.chat or NONE, attempts = 0,
    owner = row.owner, device = own and own.device or NO_DEVICE, link = own and own.link or NO_LINK,
    session = own and own.session or NO_SESSION, version = this, generation = this, nonce = row.nonce,
    created = row.created, updated = ended and NOW or row.updated, seen = row.updated, address = row.address,
    attributes = row.attributes, extras = own and own.extras or no_extras, past = past }
  new.traces = r and r.traces
  if has(external, NOTIFY) then
    if notify == PENDING then list_first(new, r) end
    entitle(new, id, row, r and carry(id, r), 'r')
  else
    entitle(new, id, row, nil, 'r')
  end
  put('r', id, new)
  if channels ~= 0 then enter(row.owner, id, channels) end
  if notify == PENDING then mark('n', id) end
  if ended then
    tell('removed', NOTIFY, id, new, 'logout')
    return 'removed'
  end
  tell('adopted', NOTIFY, id, new, nil, former)
  return r and 'replaced' or 'adopted'
end

local function adopt_notify(id, row)
  local there = has(external, NOTIFY)
  local r = get('r', id)
  if r and r.address ~= row.address then return 'collision' end
  if r and knows(r, id, row.sid) then return 'same' end
  local ended = logged_out(row.owner, id, row.type, NOTIFY, row.updated)
  if not r then
    ended = ended or departed(id, row.updated) or given_up_here(NOTIFY, row.updated)
    if ended and not there then return 'ended' end
    if not ended and #entries(row.owner) >= most then return 'full' end
    return insert(id, row, nil, ended)
  end

  local live = has(r.channels, NOTIFY)
  local newer = row.updated > (live and latest(r) or math.max(latest(r), r.updated))
  -- A call of ours that was late looks newer than what has been registered since.
  local racing = there and (r.doubt or leased('n', id))
  if importing and newer and not ended and not racing then
    if (r.channels == 0 or r.owner ~= row.owner) and #entries(row.owner) >= most then return 'full' end
    return insert(id, row, r, false)
  end
  if not live then
    if there and (not newer or changed_since(r)) then
      -- It should have gone with the rest.
      local list = traces_of(r)
      list[#list + 1] = { type = row.type, sid = row.sid, attributes = row.attributes }
      keep_traces(r, id, list)
      list_first(r, r)
      if r.notify == FAILED then undead('n', id) end
      r.notify = PENDING
      put('r', id, r)
      mark('n', id)
      return 'removed'
    end
    if there and r.channels == 0 and r.notify == NONE and not ended and not racing
      and not departed(id, row.updated) and not given_up_here(NOTIFY, row.updated) then
      -- A removal that was given up keeps out what it was about, not what has been made there since.
      if #entries(row.owner) >= most then return 'full' end
      return insert(id, row, r, false)
    end
    return there and 'ours' or 'ended'
  end
  local equal = r.owner == row.owner and r.type == row.type and r.attributes == row.attributes
  if there and not r.doubt and not leased('n', id) and not changed_since(r) then
    -- An upstream that keeps the case of tokens holds both, and nothing replaces the one by the other.
    if (r.owner == row.owner or row.respelled == '1') and r.notify == APPLIED then
      r.past, r.notify = applied_section(r, r.notify), UNKNOWN
      look_into(id, r, row)
    elseif r.owner ~= row.owner and r.notify == FAILED then
      -- Refused for its new owner, the address is the former one's no more.
      look_into(id, r, row)
    end
  end
  return equal and 'same' or 'ours'
end

-- Chat: one record for an identity, endpoint and type; without a registration until an app makes one. ----------------

local function insert_chat(id, row, c, ended)
  local this = next_version()
  local new = { type = row.type, channels = ended and 0 or CHAT, notify = NONE, chat = ended and PENDING or APPLIED,
    attempts = 0, owner = row.owner, device = row.endpoint, link = c and c.link or NO_LINK, session = NO_SESSION,
    version = this, generation = this, nonce = row.nonce, created = row.created, updated = ended and NOW or row.updated,
    seen = row.updated, address = row.address, attributes = row.attributes, extras = '', past = '' }
  new.traces = c and c.traces
  entitle(new, id, row, nil, 'k')
  put('k', id, new)
  note_chat(row.owner, id)
  if ended then
    mark('h', row.owner)
    tell('removed', CHAT, id, new, 'logout')
    return 'removed'
  end
  get('p', row.endpoint .. KIND[row.type]:upper())
  put('p', row.endpoint .. KIND[row.type]:upper(), id)
  local source = c and get('r', c.link) or nil
  if source and source.link == id and source.chat ~= APPLIED then
    source.chat = APPLIED
    put('r', c.link, source)
  end
  if c and c.chat == FAILED then undead('h', id) end
  tell('adopted', CHAT, id, new)
  return c and 'replaced' or 'adopted'
end

local function adopt_chat(id, row)
  local there = has(external, CHAT)
  local c = get('k', id)
  if c and c.address ~= row.address then return 'collision' end
  if c and c.channels == 0 then return 'ours' end
  if c then
    if knows(c, id, row.sid) or (there and c.link ~= NO_LINK) then return 'same' end
    if importing and row.updated > latest(c) then return insert_chat(id, row, c, false) end
    return c.attributes == row.attributes and 'same' or 'ours'
  end
  local ended = logged_out(row.owner, id, row.type, CHAT, row.updated) or given_up_here(CHAT, row.updated)
  if ended and not there then return 'ended' end
  if #(get('c', row.owner) or '') >= 2 * most * 12 then return 'full' end
  if ended then return insert_chat(id, row, nil, true) end
  local before = get('p', row.endpoint .. KIND[row.type]:upper())
  local other = before and get('k', before) or nil
  if other and other.channels ~= 0 and other.device == row.endpoint then
    if not importing or row.updated <= latest(other) then return 'ours' end
    local source = get('r', other.link)
    if source and source.link == before then
      take_out(other.link, source, CHAT, at_once, 'taken', row.owner)
    else
      -- That somebody else is found to have it says nothing of what an upstream should hold: it allows both.
      drop_chat(before, other.link == NO_LINK and CHAT or at_once, 'taken', row.owner)
    end
  end
  return insert_chat(id, row, nil, false)
end

for n = FIRST, #ARGV, WIDTH do
  local row = {}
  local space, id = ARGV[n], ARGV[n + 1]
  row.sid, row.owner, row.type, row.address, row.attributes, row.created, row.updated, row.endpoint,
    row.respelled = unpack(ARGV, n + 2, n + 10)
  row.type, row.created, row.updated = tonumber(row.type), tonumber(row.created), tonumber(row.updated)
  row.nonce = row.sid:sub(13, 16)
  answer[#answer + 1] = (space == 'r' and adopt_notify or adopt_chat)(id, row)
end
if dry ~= '1' then answer[1] = commit(events_max) end
return answer
