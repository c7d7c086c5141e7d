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

local owner, by, channels, messaging, session, lifetime, upstreams, events_max = unpack(ARGV, 1, 8)
channels, messaging, lifetime = tonumber(channels), messaging == '1', tonumber(lifetime)
external = tonumber(upstreams)
local named, named_list = {}, {}
for n = 9, #ARGV do
  named[ARGV[n]] = true
  named_list[#named_list + 1] = ARGV[n]
end

local ended, sessions, distinct = 0, {}, 0
for _, e in ipairs(entries(owner)) do
  local id = e[1]
  local r = get('r', id)
  local covered = by == 'i' or (by == 'd' and named[r.device]) or (by == 's' and named[r.session])
    or (by == 'a' and named[id])
  if covered and (KIND[r.type] or messaging or by == 'a') and take_out(id, r, channels, 0, 'logout') then
    ended = ended + 1
    if not sessions[r.session] then sessions[r.session], distinct = true, distinct + 1 end
  end
end

-- Chat bindings that were adopted have no registration.
if by == 'i' and has(channels, CHAT) then
  local noted = get('c', owner) or ''
  for at = 1, #noted, 12 do
    local c = get('k', noted:sub(at, at + 11))
    if c and c.channels ~= 0 and c.link == NO_LINK then
      drop_chat(noted:sub(at, at + 11), 0, 'logout')
      ended = ended + 1
    end
  end
end

-- The session that this logout ended: the caller's own, else that of what it removed, where they all had the same. Where
-- what it removed had another than the caller's, two have ended; a fence notes one, so that it notes none.
if session == NO_SESSION then
  if distinct == 1 then session = next(sessions) end
elseif by ~= 's' then
  for other in pairs(sessions) do
    if other ~= NO_SESSION and other ~= session then session = NO_SESSION break end
  end
end

local fences = {}
for _, what in ipairs(named_list) do fences[#fences + 1] = fence_key(by, owner, what) end
redis.call('EXISTS', unpack(fences))
local wake = commit(events_max)
for _, what in ipairs(named_list) do raise_fence(by, owner, what, channels, session, lifetime) end
return { ended, wake }
