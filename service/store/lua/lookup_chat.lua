#!lua flags=no-writes,allow-oom
-- The Chat bindings noted for identities, those to be removed included. For each owner asked for, in order:
-- false if the Service has never seen it, else {key, record, …}.
--@include record
--@include unit

local answer = {}
for n, owner in ipairs(ARGV) do
  local noted = get('c', owner) or (get('i', owner) and '') or nil
  if noted then
    local found = {}
    for at = 1, #noted, 12 do
      local id = noted:sub(at, at + 11)
      local raw = redis.call('HGET', bucket('k', id), id)
      if raw then
        found[#found + 1] = id
        found[#found + 1] = raw
      end
    end
    answer[n] = found
  else
    answer[n] = false
  end
end
return answer
