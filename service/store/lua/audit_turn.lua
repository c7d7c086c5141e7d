#!lua flags=allow-oom
-- A turn of a walk (the audit's, expiry's): one step in all processes at a time, and at most one in so many milliseconds.
-- ask 'claim': answers the position to go on from, or nothing if it is not time. 'rest': the next turn comes after ms, and
-- goes on from the position given, if the walk is still where it was claimed: a step may take longer than its turn, and one
-- that comes late must not move it back.

local at = KEYS[1] .. ':' .. ARGV[1]
local turn = at .. ':turn'
local ask, ms, position, claimed = unpack(ARGV, 2, 5)
redis.call('EXISTS', turn, at)
if ask == 'claim' then
  if not redis.call('SET', turn, '1', 'NX', 'PX', ms) then return false end
  return redis.call('GET', at) or ''
end
if (redis.call('GET', at) or '') ~= claimed then return 0 end
redis.call('SET', turn, '1', 'PX', ms)
redis.call('SET', at, position)
return 1
