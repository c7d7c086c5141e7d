#!lua flags=no-writes,allow-oom
-- The registrations of identities, desired state at once (contract 2). For each owner asked for, in order:
-- false if the Service has never seen it, else {fingerprint, record, Chat record or '', …}.
--@include record
--@include unit
--@include changes

local answer = {}
for n, owner in ipairs(ARGV) do
  if get('i', owner) then
    local found = {}
    for _, e in ipairs(entries(owner)) do
      local raw = redis.call('HGET', bucket('r', e[1]), e[1])
      if raw then
        local link = has(e[2], CHAT) and decode(raw).link or NO_LINK
        found[#found + 1] = e[1]
        found[#found + 1] = raw
        found[#found + 1] = link ~= NO_LINK and redis.call('HGET', bucket('k', link), link) or ''
      end
    end
    answer[n] = found
  else
    answer[n] = false
  end
end
return answer
