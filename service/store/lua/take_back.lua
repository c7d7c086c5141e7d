#!lua flags=allow-oom
-- After a cut-over has been undone: whatever may differ at the upstream is owed to it again.
-- rows: a space, its key, and for 'x' owner, type, SID, address, attributes. 'r': a registration, to be compared with what is
-- there; 'k': a Chat binding, to be reconciled; 'x': what the upstream holds of an address that was given up here since:
-- it is owed that it goes.
-- Answers the lanes to wake.
--@include record
--@include unit
--@include changes

local upstreams, events_max = ARGV[1], ARGV[2]
external = tonumber(upstreams)
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
    if r and not (r.doubt and r.doubt > NOW_MS) then
      r.doubt = NOW_MS
      if has(r.channels, NOTIFY) then keep_traces(r, id, suspect(traces_of(r), r.type, r.attributes)) end
      put('r', id, r)
      mark('n', id)
    end
  elseif not get('r', id) then
    local this = next_version()
    local r = { type = tonumber(kind), channels = 0, notify = PENDING, chat = NONE, attempts = 0, owner = owner,
      device = NO_DEVICE, link = NO_LINK, session = NO_SESSION, version = this, generation = this, nonce = sid:sub(13, 16),
      created = NOW, updated = NOW, seen = NOW, address = address, attributes = attributes, extras = '\147\192\192\192',
      past = '', doubt = NOW_MS }
    keep_traces(r, id, { { type = r.type, sid = sid, attributes = attributes } })
    put('r', id, r)
    mark('n', id)
  end
end
return commit(events_max)
