#!lua flags=allow-oom
-- After a cut-over has been undone: whatever may differ at the upstream is owed to it again.
-- rows: a space, its key, and for 'x' owner, type, SID, address, attributes. 'r': a registration, to be compared with what is
-- there; 'k': a Chat binding, to be reconciled; 'x': what the upstream holds of an address that was given up here since:
-- it is owed that it goes.
-- Until nothing of before the switch can come any more, everything stays in doubt: it is looked at once more then.
-- Answers the lanes to wake.
--@include record
--@include unit
--@include changes

local upstreams, events_max = ARGV[1], ARGV[2]
external = tonumber(upstreams)
local certain = math.max(NOW_MS, 1000 * tonumber(redis.call('HGET', A, 'until1') or 0))

local function owe(r, id)
  r.doubt = math.max(r.doubt or 0, certain)
  put('r', id, r)
  mark('n', id)
end

for n = 3, #ARGV, 7 do
  local space, id, owner, kind, sid, address, attributes = unpack(ARGV, n, n + 6)
  if space == 'k' then
    local c = get('k', id)
    if c and c.chat == APPLIED and c.link ~= NO_LINK then
      c.past, c.chat = applied_section(c, c.chat), UNKNOWN
      put('k', id, c)
      mark('h', c.owner)
    end
  elseif space == 'r' then
    local r = get('r', id)
    if r then
      -- What a call of before the switch may have sent.
      if has(r.channels, NOTIFY) then keep_traces(r, id, suspect(traces_of(r), r.type, r.attributes)) end
      owe(r, id)
    end
  elseif get('r', id) then
    -- Somebody else has it, who may give it up before a worker looks: then it is this that must go.
    local r = get('r', id)
    local list, known = traces_of(r), false
    for _, t in ipairs(list) do known = known or t.sid == sid end
    if not known then
      list[#list + 1] = { type = tonumber(kind), sid = sid, attributes = attributes }
      keep_traces(r, id, list)
      owe(r, id)
    end
  else
    -- Its end was told here, when it was given up.
    local this = next_version()
    local r = { type = tonumber(kind), channels = 0, notify = PENDING, chat = NONE, attempts = 0, owner = owner,
      device = NO_DEVICE, link = NO_LINK, session = NO_SESSION, version = this, generation = this, nonce = NO_NONCE,
      created = NOW, updated = NOW, seen = NOW, address = address, attributes = attributes, extras = '\147\192\192\192',
      past = '', doubt = certain }
    keep_traces(r, id, { { type = r.type, sid = sid, attributes = attributes } })
    put('r', id, r)
    mark('n', id)
  end
end
return commit(events_max)
