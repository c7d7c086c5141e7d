#!lua
-- Before a Service is cut over: the SIDs that its Chat bindings have at the upstream, so that they lead to the same ones here.
-- rows: the Chat binding's key, its SID there, and whether its type is another there: then it counts if nothing else does.
-- Answers how many there are.
--@include record
--@include unit
--@include changes

local count = 0
for n = 2, #ARGV, 3 do
  local id, sid, other_type = ARGV[n], ARGV[n + 1], ARGV[n + 2] == '1'
  local c = get('k', id)
  if c and c.channels ~= 0 then
    count = count + 1
    local first = traces_of(c)[1]
    if not first or (first.sid ~= sid and not other_type) then
      keep_traces(c, id, { { type = c.type, sid = sid, attributes = c.attributes } }, 'k')
      put('k', id, c)
    end
  end
end
commit(ARGV[1])
return count
