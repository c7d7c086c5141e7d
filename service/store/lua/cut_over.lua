#!lua flags=allow-oom
-- After a Service has been cut over: what an upstream may yet hold, or has refused, matters no more. Of the traces those stay
-- that give a binding its SID. What was owed is owed to this store.
-- rows: a space, r or k, and the record's key. Answers the lanes to wake.
--@include record
--@include unit
--@include changes

local events_max = ARGV[1]

local function stays(r)
  local list = {}
  for _, t in ipairs(traces_of(r)) do
    if r.channels ~= 0 and t.sid ~= NO_SID and t.attributes == r.attributes then list[1] = list[1] or t end
  end
  return list
end

for n = 2, #ARGV, 2 do
  local space, id = ARGV[n], ARGV[n + 1]
  local r = get(space, id)
  if r and space == 'r' then
    r.doubt, r.full = nil, nil
    if r.traces then keep_traces(r, id, stays(r)) end
    if r.notify == FAILED then
      undead('n', id)
      r.notify, r.attempts = PENDING, 0
      tell('rearmed', NOTIFY, id, r)
    end
    if r.notify == PENDING or r.notify == UNKNOWN then mark('n', id) end
    rest(id, r)
  elseif r then
    if r.chat == FAILED then
      undead('h', id)
      r.chat, r.attempts = PENDING, 0
      put('k', id, r)
      local source = get('r', r.link)
      if source and source.link == id then
        source.chat = PENDING
        put('r', r.link, source)
      end
      tell('rearmed', CHAT, id, r)
    end
    if r.chat ~= APPLIED then mark('h', r.owner) end
  end
end
return commit(events_max)
