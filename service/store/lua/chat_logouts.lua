#!lua flags=no-writes,allow-oom
-- When identities were last logged out of Chat as a whole, as far as that is remembered: for each owner asked for, in order,
-- the second, or 0. First, while a cut-over is being undone, when the Service was switched: bindings of before that nobody
-- knows here have been given up since.
--@include record
--@include unit
--@include fences

local keys, answer = {}, { tonumber(redis.call('HGET', A, 'undo2') or 0) }
for n, owner in ipairs(ARGV) do keys[n] = fence_key('i', owner, '') end
for n, fence in ipairs(#keys > 0 and redis.call('MGET', unpack(keys)) or {}) do
  local _, chat = 0, 0
  if fence then _, chat = struct.unpack(FENCE, fence) end
  answer[n + 1] = chat
end
return answer
