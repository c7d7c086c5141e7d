#!lua
-- Registrations from an archive, with all that they are: SIDs, versions, times, devices, Chat bindings.
--
-- What is here and newer wins, by version: these are never behind the time, in one store as in another. So do fences: what
-- a logout here has ended does not come back. Contract 1, 2, 5 and 6 hold as for registrations; nothing is evicted.
-- A SID that was made under another key, or by an upstream, is kept in a trace, until the next version.
-- Each line has a cap of its own, for an archive may hold more of an identity than may be registered: what was adopted.
-- Bindings at an upstream are in doubt until a worker has looked.
--
-- Answers {lanes to wake, an outcome for each}: 'new', 'replaced', 'same', 'newer' (what is here), 'fenced', 'full',
-- 'collision', 'future'.
--@include record
--@include unit
--@include changes
--@include fences

local modes, most, events_max, dry = unpack(ARGV, 1, 4)
modes, most, dry = tonumber(modes), tonumber(most), dry == '1'
external = bit.rshift(modes, 2)
local at_once = bit.band(modes, 3)
local FIRST, WIDTH, DAY = 5, 29, 86400
local highest, answer = next_version(), { '' }

local function shows(r, id, sid, space)
  r.nonce = sid:sub(13, 16)
  if sid:sub(1, 12) ~= id or (space == 'k' and has(external, CHAT)) then
    keep_traces(r, id, { { type = r.type, sid = sid, attributes = r.attributes } }, space)
  end
end

-- The live record that a pointer leads to, if it is another than this.
local function other_at(space, pointer, id)
  local found = get('p', pointer)
  local other = found and found ~= id and get(space, found) or nil
  if other and other.channels ~= 0 then return other, found end
end

local function chat_of(owner, link, key, endpoint, kind, applied, address, attributes, sid, version, generation, created,
  updated, seen)
  local alone = link == NO_LINK
  local state = applied == '1' and (alone or not has(external, CHAT)) and APPLIED or PENDING
  local c = { type = tonumber(kind), channels = CHAT, notify = NONE, chat = state, attempts = 0, owner = owner,
    device = endpoint, link = link, session = NO_SESSION, version = tonumber(version), generation = tonumber(generation),
    created = tonumber(created), updated = tonumber(updated), seen = tonumber(seen), address = address,
    attributes = attributes, extras = '', past = '' }
  local before = get('k', key)
  -- As in register.lua: a removed registration that waits for the end of this very Chat binding waits for nothing any more.
  local waiting = before and before.channels == 0 and before.link ~= link and get('r', before.link) or nil
  if waiting and waiting.link == key then
    waiting.link, waiting.chat = NO_LINK, NONE
    rest(before.link, waiting)
  end
  if before and before.traces then keep_traces(before, key, {}, 'k') end
  if before and before.chat == FAILED then undead('h', key) end
  if applied == '1' then shows(c, key, sid, 'k') else c.nonce = sid:sub(13, 16) end
  put('k', key, c)
  note_chat(owner, key)
  local pointer = endpoint .. KIND[c.type]:upper()
  get('p', pointer)
  put('p', pointer, key)
  if state == PENDING then mark('h', owner) end
  if alone then tell('adopted', CHAT, key, c) end
  return c
end

-- A Chat binding of its own.
local function chat_alone(n)
  local owner, key, endpoint, kind, version = ARGV[n + 1], ARGV[n + 16], ARGV[n + 17], tonumber(ARGV[n + 18]),
    tonumber(ARGV[n + 23])
  if version > (NOW + DAY) * 1000000 then return 'future' end
  local c = get('k', key)
  if c and c.version >= version then return c.version == version and 'same' or 'newer' end
  if c and c.link ~= NO_LINK then return 'newer' end
  local other, other_id = other_at('k', endpoint .. KIND[kind]:upper(), key)
  if other and (other.version >= version or other.link ~= NO_LINK) then return 'newer' end
  if is_fenced(owner, NO_DEVICE, {}, NO_SESSION, CHAT, math.max(tonumber(ARGV[n + 25]), tonumber(ARGV[n + 27]))) then
    return 'fenced'
  end
  if other then drop_chat(other_id, at_once, other.owner == owner and 'rotated' or 'taken', owner) end
  chat_of(owner, NO_LINK, unpack(ARGV, n + 16, n + 27))
  highest = math.max(highest, version)
  return c and 'replaced' or 'new'
end

local function registration(n)
  local fp, owner, device, session, kind, channels, applied, address, attributes, extras, sid, this, generation, created,
    updated, seen, chat_key, endpoint, chat_kind = unpack(ARGV, n, n + 18)
  kind, channels, this, created, seen = tonumber(kind), tonumber(channels), tonumber(this), tonumber(created),
    tonumber(seen)
  local cap = tonumber(ARGV[n + 28])
  local wants_chat, pointer = has(channels, CHAT), KIND[kind]
  if math.max(this, tonumber(ARGV[n + 23])) > (NOW + DAY) * 1000000 then return 'future' end

  local r = get('r', fp)
  if r and r.address ~= address then return 'collision' end
  if r and r.version >= this then return r.version == this and 'same' or 'newer' end
  if has(external, NOTIFY) and tonumber(redis.call('GET', departure_key(fp)) or 0) * 1000 >= this then return 'newer' end
  local live = r and r.channels ~= 0 and r or nil
  local own = live and live.owner == owner and live or nil
  local other, other_id
  if pointer and device ~= NO_DEVICE then other, other_id = other_at('r', device .. pointer, fp) end
  if other and (other.device ~= device or KIND[other.type] ~= pointer) then other = nil end
  if other and other.version >= this then return 'newer' end
  local before, before_key
  if wants_chat then
    before, before_key = other_at('k', endpoint .. KIND[tonumber(chat_kind)]:upper(), chat_key)
    if not before then
      local c = get('k', chat_key)
      if c and c.channels ~= 0 then before, before_key = c, chat_key end
    end
    if before and before.link == fp and before_key == chat_key then before = nil end
    if before and before.version >= this then return 'newer' end
  end
  if is_fenced(owner, device, { fp }, session, channels, math.max(created, seen)) then return 'fenced' end
  local held, all = 0, 0
  for _, e in ipairs(entries(owner)) do
    if e[1] ~= fp and e[1] ~= other_id then
      all = all + 1
      if has(e[2], NOTIFY) then held = held + 1 end
    end
  end
  if (has(channels, NOTIFY) and held >= cap) or all >= most then return 'full' end

  if other then
    take_out(other_id, other, bit.bor(NOTIFY, CHAT), at_once, other.owner == owner and 'rotated' or 'taken', owner,
      wants_chat and other.link == chat_key)
  end
  if before then
    local why = before.owner == owner and 'rotated' or 'taken'
    local source = get('r', before.link)
    if source and source.link == before_key then
      take_out(before.link, source, CHAT, at_once, why, owner, before_key == chat_key)
    elseif before_key ~= chat_key then
      drop_chat(before_key, at_once, why, owner)
    end
  end
  local former = live and not own and live.owner or nil
  if live then
    if live.device ~= device or KIND[live.type] ~= pointer then forget_pointer(live.device, KIND[live.type], fp) end
    if live.link ~= chat_key then drop_chat(live.link, at_once, own and 'rotated' or 'taken', owner) end
  end
  if former then enter(former, fp, 0) end
  if r and r.notify == FAILED then undead('n', fp) end

  local new = { type = kind, channels = channels, notify = NONE, chat = NONE, attempts = 0, owner = owner, device = device,
    link = wants_chat and chat_key or NO_LINK, session = session, version = this, generation = tonumber(generation),
    created = created, updated = tonumber(updated), seen = seen, address = address, attributes = attributes,
    extras = extras, past = '' }
  local foreign = sid:sub(1, 12) ~= fp
  local carried = r and (r.traces or external > 0) and carry(fp, r) or {}
  if r and r.traces then keep_traces(r, fp, {}) end
  if has(channels, NOTIFY) then
    local known = applied == '1' and (foreign or not has(external, NOTIFY))
    new.notify = known and APPLIED or PENDING
  elseif r and r.notify ~= NONE then
    new.notify = PENDING
  end
  if applied == '1' and has(channels, NOTIFY) then shows(new, fp, sid) else new.nonce = sid:sub(13, 16) end
  -- As in register.lua.
  if not has(channels, NOTIFY) then new.nonce = r and r.owner == owner and r.nonce or NO_NONCE end
  if has(external, NOTIFY) and has(channels, NOTIFY) then
    -- Nothing of ours is under way there; but whether it holds this, only a list can say.
    new.doubt = math.max(NOW_MS, r and r.doubt or 0)
    local list = traces_of(new)
    for _, t in ipairs(carried) do suspect(list, t.type, t.attributes) end
    keep_traces(new, fp, list)
  elseif has(external, NOTIFY) then
    -- What it may hold of the address is to go.
    new.doubt = r and r.doubt
    keep_traces(new, fp, carried)
  end
  if has(external, NOTIFY) and new.notify == PENDING or new.doubt then
    -- As in register.lua: a call of before a cut-over that has been undone may yet come.
    local certain = 1000 * tonumber(redis.call('HGET', A, 'until1') or 0)
    if certain > NOW_MS then new.doubt = math.max(new.doubt or 0, certain) end
  end
  if wants_chat then
    new.chat = chat_of(owner, fp, unpack(ARGV, n + 16, n + 27)).chat
    highest = math.max(highest, tonumber(ARGV[n + 23]))
  end
  put('r', fp, new)
  enter(owner, fp, channels)
  if pointer and device ~= NO_DEVICE then
    get('p', device .. pointer)
    put('p', device .. pointer, fp)
  end
  if new.notify == PENDING or new.doubt then mark('n', fp) end
  highest = math.max(highest, this)
  tell('adopted', channels, fp, new, nil, former)
  return r and 'replaced' or 'new'
end

for n = FIRST, #ARGV, WIDTH do
  answer[#answer + 1] = ARGV[n] == '' and chat_alone(n) or registration(n)
end
-- Taken from the counter only where something was written; it is never behind what it has given out elsewhere.
version = math.max(version, highest)
if not dry then answer[1] = commit(events_max) end
return answer
