#!lua
-- A registration: this address belongs to this identity, from now on and nowhere else.
--
-- Contract 1 (one owner), 2 (no leak), 3 (last wins), 5 (the cap) and 6 (a dead session) all hold because everything
-- that decides them is read, decided and written here, in one step.
--
-- Answers {outcome, record, Chat record or '', lanes to wake, registrations displaced or evicted}; of a refusal just
-- {'fenced'}, {'expired'}, {'cap'}, {'busy'} or {'collision'}.
--@include record
--@include unit
--@include fences

-- What has a fixed length comes packed, as service/store/registrations.py says: every argument of its own costs time.
local fp, fixed, modes, rules, address, attributes, extras, chat_address, chat_attributes = unpack(ARGV)
local owner, device, session, kind, channels, iat, keep, nonce, chat_key, endpoint, chat_nonce =
  struct.unpack('<c16c12c8BBi8Bc4c12c12c4', fixed)
local cap, evict, most, events_max, oldest = struct.unpack('<I4BI4I4I4', rules)
iat, keep, evict = iat >= 0 and iat or nil, keep == 1, evict == 1
external = bit.rshift(modes, 2)
local at_once = bit.band(modes, 3)
local settled = has(at_once, NOTIFY)

-- Who checked the token did so by a clock that may be behind. Fences end by this one, and so do tokens, before them.
if iat and NOW - iat >= oldest then return { 'expired' } end
if is_fenced(owner, device, { fp }, session, channels, iat) then return { 'fenced' } end

local r = get('r', fp)
if r and r.address ~= address then return { 'collision' } end
local live = r and r.channels ~= 0 and r or nil
local own = live and live.owner == owner and live or nil
-- A server that names no session leaves it the one that it has: that one's logout is to end it.
if own and not iat and session == NO_SESSION then session = own.session end

-- A compatible create speaks of the Notify binding alone: the rest of the same identity's registration stays, unless the
-- address is said to be of another kind, which a device and its Chat binding cannot follow.
keep = keep and own and KIND[kind] == KIND[own.type]
if keep then
  device, session, extras, chat_key = own.device, own.session, own.extras, own.link
  channels = bit.bor(own.channels, channels)
end
local wants_chat = has(channels, CHAT)
if not wants_chat then chat_key = NO_LINK end

-- The same desired state: nearly all traffic. --------------------------------------------------------------------

local c = wants_chat and get('k', chat_key) or nil
local same = own and own.type == kind and own.channels == channels and own.device == device
  and own.attributes == attributes and own.extras == extras
  and (not wants_chat or (own.link == chat_key and (keep or c and c.attributes == chat_attributes)))
-- Of a channel that is not wanted the removal may be owed, or refused, yet.
local wanted_notify = has(channels, NOTIFY) and APPLIED or NONE
local chat_fits = keep or not wants_chat or own and own.chat == APPLIED
if same and own.session == session and NOW - own.seen < seen_every() and own.notify == wanted_notify and chat_fits then
  -- Nothing to write at all: before what only writers need is even defined.
  return { 'unchanged', own.raw, c and c.raw or '', '', 0 }
end

--@include changes
if same then
  local outcome, changed_ = 'unchanged', false
  if own.session ~= session then own.session, changed_ = session, true end
  if NOW - own.seen >= seen_every() then own.seen, changed_ = NOW, true end
  if own.notify ~= wanted_notify then
    outcome = 'pending'
    if own.notify == FAILED then
      undead('n', fp)
      tell('rearmed', NOTIFY, fp, own)
    end
    if settled and has(channels, NOTIFY) then
      outcome, own.notify, own.past, own.updated, changed_ = 'unchanged', APPLIED, '', NOW, true
      tell('applied', NOTIFY, fp, own)
    elseif own.notify == FAILED then
      own.notify, own.attempts, changed_ = PENDING, 0, true
      mark('n', fp)
    end
  end
  if not chat_fits then
    outcome = 'pending'
    if own.chat == FAILED then
      own.chat, c.chat, c.attempts, changed_ = PENDING, PENDING, 0, true
      put('k', chat_key, c)
      undead('h', chat_key)
      tell('rearmed', CHAT, chat_key, c)
      mark('h', owner)
    end
  end
  local wake = ''
  if changed_ then
    put('r', fp, own)
    wake = commit(events_max)
  end
  return { outcome, own.raw, c and c.raw or '', wake, 0 }
end

-- Whatever this registration displaces. ----------------------------------------------------------------------------

local displaced = 0
local function why(other) return other.owner == owner and 'rotated' or 'taken' end

-- The device's earlier address, whoever it belonged to.
local pointer = KIND[kind]
if pointer and device ~= NO_DEVICE then
  local id = get('p', device .. pointer)
  local other = id and id ~= fp and get('r', id) or nil
  if other and other.channels ~= 0 and other.device == device and KIND[other.type] == pointer then
    take_out(id, other, bit.bor(NOTIFY, CHAT), at_once, why(other), owner, wants_chat and other.link == chat_key)
    displaced = displaced + 1
  end
end

-- The endpoint's earlier Chat binding under another address, whoever it belonged to. One under this very address goes
-- with its registration, below; a doubled type of one device is one of these.
if wants_chat and not (own and has(own.channels, CHAT) and own.link == chat_key) then
  local before = get('p', endpoint .. pointer:upper())
  local other = before and get('k', before) or nil
  if other and other.channels ~= 0 and other.link ~= fp then
    local source = get('r', other.link)
    if source and source.link == before then
      take_out(other.link, source, CHAT, at_once, why(other), owner, before == chat_key)
    elseif before ~= chat_key then
      drop_chat(before, at_once, why(other), owner)
    end
  end
end

local former = live and not own and live.owner or nil
if live then
  if live.device ~= device or KIND[live.type] ~= pointer then forget_pointer(live.device, KIND[live.type], fp) end
  local left = own and has(live.channels, NOTIFY) and not has(channels, NOTIFY)
  if left then tell('removed', NOTIFY, fp, live, 'push-off') end
  if live.link ~= chat_key then
    drop_chat(live.link, at_once, own and not wants_chat and 'push-off' or why(live), owner)
  end
end
if former then
  enter(former, fp, 0)
  displaced = displaced + 1
end

-- The cap, counted after the displacement. ---------------------------------------------------------------------------

-- Least recently seen first, ties by version.
local function evict_least_seen(ids, count)
  table.sort(ids, function(a, b)
    a, b = get('r', a), get('r', b)
    if a.seen ~= b.seen then return a.seen < b.seen end
    return a.version < b.version
  end)
  for n = 1, count do
    take_out(ids[n], get('r', ids[n]), bit.bor(NOTIFY, CHAT), at_once, 'evicted')
    displaced = displaced + 1
  end
end

if has(channels, NOTIFY) and not (own and has(own.channels, NOTIFY)) then
  local held = {}
  for _, e in ipairs(entries(owner)) do
    if e[1] ~= fp and has(e[2], NOTIFY) and get('r', e[1]) then held[#held + 1] = e[1] end
  end
  if #held >= cap then
    if not evict then return { 'cap' } end
    evict_least_seen(held, #held - cap + 1)
  end
end
local all = own and {} or entries(owner)
if #all >= most then
  if not evict then return { 'cap' } end
  for n, e in ipairs(all) do all[n] = e[1] end
  evict_least_seen(all, #all - most + 1)
end
-- Chat bindings on their way out count here too: what one call touches stays bounded while workers are away.
if wants_chat and #(get('c', owner) or '') >= 2 * most * 12 and not get('k', chat_key) then return { 'busy' } end

-- The new version. -----------------------------------------------------------------------------------------------------

local this = next_version()
local notify, past = NONE, ''
if has(channels, NOTIFY) then
  notify = settled and APPLIED or PENDING
  if own and not settled and has(own.channels, NOTIFY) then past = applied_section(own, own.notify) end
else
  -- What may still go there is the same identity's, or no concern of this one's.
  nonce = r and r.owner == owner and r.nonce or NO_NONCE
  if r and r.notify ~= NONE then notify = PENDING end
end
local chat = NONE
if wants_chat then
  c = get('k', chat_key)
  if keep then
    chat = own.chat
  else
    chat = PENDING
    -- A removed registration that waits for the end of this very Chat binding has nothing to wait for any more.
    local waiting = c and c.channels == 0 and c.link ~= fp and get('r', c.link) or nil
    if waiting and waiting.link == chat_key then
      waiting.link, waiting.chat = NO_LINK, NONE
      rest(c.link, waiting)
    end
    if c and c.traces then keep_traces(c, chat_key, {}, 'k') end
    c = { type = kind, channels = CHAT, notify = NONE, chat = PENDING, attempts = 0, owner = owner, device = endpoint,
      link = fp, session = NO_SESSION, version = this, generation = this, nonce = chat_nonce, created = NOW,
      updated = NOW, seen = NOW, address = chat_address, attributes = chat_attributes, extras = '',
      past = c and c.channels ~= 0 and applied_section(c, c.chat) or '' }
    put('k', chat_key, c)
    undead('h', chat_key)
    note_chat(owner, chat_key)
    get('p', endpoint .. pointer:upper())
    put('p', endpoint .. pointer:upper(), chat_key)
    mark('h', owner)
  end
end
if r and r.notify == FAILED then undead('n', fp) end

local new = { type = kind, channels = channels, notify = notify, chat = chat, attempts = 0, owner = owner,
  device = device, link = chat_key, session = session, version = this, generation = this, nonce = nonce,
  created = NOW, updated = NOW, seen = NOW, address = address, attributes = attributes, extras = extras, past = past }
if r and (r.traces or external > 0) then
  -- Their SIDs go with the settlement; where this store has come to be the backend, now.
  if has(external, NOTIFY) then
    -- With those of before, so that what is dropped of them leads here no more.
    new.doubt, new.traces = r.doubt, r.traces
    keep_traces(new, fp, carry(fp, r))
  else
    keep_traces(r, fp, {})
  end
end
if has(external, NOTIFY) and notify == PENDING then
  -- A call of before a cut-over that has been undone may yet come.
  local certain = 1000 * tonumber(redis.call('HGET', A, 'until1') or 0)
  if certain > NOW_MS then new.doubt = math.max(new.doubt or 0, certain) end
end
put('r', fp, new)
enter(owner, fp, channels)
if pointer and device ~= NO_DEVICE then
  get('p', device .. pointer)
  put('p', device .. pointer, fp)
end
if notify == PENDING then mark('n', fp) end
tell('registered', channels, fp, new, nil, former)
if notify == APPLIED then tell('applied', NOTIFY, fp, new) end

local wake = commit(events_max)
return { 'accepted', new.raw, c and c.raw or '', wake, displaced }
