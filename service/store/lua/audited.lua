#!lua flags=allow-oom
-- What an audit has found of applied Notify registrations at the upstream: 'look', it holds something else; 'dead', it holds
-- nothing, and that is the provider's word that the address is dead.
--
-- Only what has not changed since it was read counts, and is neither owed nor in doubt. What was in doubt not long ago may
-- have gone by a call of ours that was later than any should be: that is looked into, and so made again, once. So is what its
-- app has registered again since it was applied: the provider may have said so before.
-- Answers {how many count, lanes to wake}.
--@include record
--@include unit
--@include changes

local longest_ms, upstreams, events_max = unpack(ARGV, 1, 3)
longest_ms, external = tonumber(longest_ms), tonumber(upstreams)
local count, again = 0, {}
for n = 4, #ARGV, 4 do
  local id, seen, sid, found = unpack(ARGV, n, n + 3)
  local r = get('r', id)
  local first = r and traces_of(r)[1] or nil
  local quiet = r and not redis.call('ZSCORE', A .. ':n' .. (id:byte(3) % LANES), id)
  if quiet and r.version == tonumber(seen) and has(r.channels, NOTIFY) and r.notify == APPLIED and not r.doubt
    and (first and first.sid or '') == sid then
    count = count + 1
    local was = found == 'dead' and redis.call('GET', doubted_key(id))
    local renewed = found == 'dead' and r.seen > r.updated
    if found == 'dead' and not renewed and (not was or was == spent(r)) then
      take_out(id, r, bit.bor(NOTIFY, CHAT), 0, 'vanished')
    else
      if was or renewed then again[#again + 1] = { id, spent(r) } end
      r.past, r.notify, r.doubt = applied_section(r, r.notify), UNKNOWN, NOW_MS + longest_ms
      put('r', id, r)
      mark('n', id)
    end
  end
end
local wake = commit(events_max)
for _, was in ipairs(again) do redis.call('SET', doubted_key(was[1]), was[2], 'PX', doubted_ms(longest_ms)) end
return { count, wake }
