#!lua flags=allow-oom
-- A logout: ends registrations of one identity and fences what authorised them, found or not.
--
-- Contract 2 (no leak), 6 (a dead session stays dead: removal and fence are one step) and 7 (messaging survives
-- unless asked for). What names it: 'd' a device, 's' a session, 'a' addresses (each spelling), 'i' the identity.
--
-- Answers {registrations ended, lanes to wake}.
--@include record
--@include unit
--@include changes
--@include fences

local owner, by, channels, messaging, session, lifetime, events_max = unpack(ARGV, 1, 7)
channels, messaging, lifetime = tonumber(channels), messaging == '1', tonumber(lifetime)
local named, named_list = {}, {}
for n = 8, #ARGV do
  named[ARGV[n]] = true
  named_list[#named_list + 1] = ARGV[n]
end

local ended, sessions, last_session = 0, 0, NO_SESSION
for _, e in ipairs(entries(owner)) do
  local id = e[1]
  local r = get('r', id)
  local covered = by == 'i' or (by == 'd' and named[r.device]) or (by == 's' and named[r.session])
    or (by == 'a' and named[id])
  if covered and (KIND[r.type] or messaging or by == 'a') and take_out(id, r, channels, false, 'logout') then
    ended = ended + 1
    if r.session ~= last_session then sessions, last_session = sessions + 1, r.session end
  end
end

-- The session that this logout ended: the caller's own, else that of what it removed, where they all had the same.
if session == NO_SESSION and sessions == 1 then session = last_session end

local fences = {}
for _, what in ipairs(named_list) do fences[#fences + 1] = fence_key(by, owner, what) end
redis.call('EXISTS', unpack(fences))
local wake = commit(events_max)
for _, what in ipairs(named_list) do raise_fence(by, owner, what, channels, session, lifetime) end
return { ended, wake }
