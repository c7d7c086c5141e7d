#!lua flags=allow-oom
-- Settles leased entries of a Notify lane, each by compare-and-set on its version and its lease token (contract 3, 4).
--
-- Outcomes: 'held' the backend holds the desired version; 'gone' it holds nothing; 'later' it failed, try again; 'back' it
-- was not tried; 'dead' it refused for good.
-- Answers how many were settled.
--@include record
--@include unit
--@include changes

local lane, token, events_max = unpack(ARGV, 1, 3)
local key, settled = A .. ':' .. lane, 0
local done, due = {}, {}

local ids = {}
for n = 4, #ARGV, 5 do ids[#ids + 1] = ARGV[n] end
local scores = #ids > 0 and redis.call('ZMSCORE', key, unpack(ids)) or {}

for n = 4, #ARGV, 5 do
  local id, seen, outcome, delay, why = unpack(ARGV, n, n + 4)
  local score = scores[(n + 1) / 5]
  local r = get('r', id)
  local holds = score and tonumber(score) == tonumber(token)
  if r and holds and r.version == tonumber(seen) then
    settled = settled + 1
    if outcome == 'later' or outcome == 'back' then
      if outcome == 'later' then r.attempts = math.min(r.attempts + 1, 255) end
      put('r', id, r)
      due[#due + 1] = { id, NOW_MS + tonumber(delay) }
    else
      done[#done + 1] = id
      if r.notify == FAILED then undead('n', id) end
      r.updated = NOW
      if outcome == 'dead' then
        r.notify = FAILED
        put('r', id, r)
        bury('n', id, why)
        tell('failed', NOTIFY, id, r)
      elseif outcome == 'gone' then
        tell_end(id, r)
        r.notify, r.past, r.attempts = NONE, '', 0
        rest(id, r)
      elseif r.notify ~= APPLIED then
        r.notify, r.past, r.attempts = APPLIED, '', 0
        put('r', id, r)
        tell('applied', NOTIFY, id, r)
      end
    end
  elseif holds then
    -- Changed beneath the lease without a new mark: by a request that settled at once, or in the other channel.
    due[#due + 1] = { id, NOW_MS }
  end
end

redis.call('EXISTS', key)
commit(events_max)
for _, entry in ipairs(due) do redis.call('ZADD', key, entry[2], entry[1]) end
if #done > 0 then redis.call('ZREM', key, unpack(done)) end
return settled
