#!lua flags=allow-oom
-- Admission to one account of an upstream, shared by every process that calls it: a limit of requests per second, holds
-- that the upstream has asked for, and a circuit breaker. All time is the store's own.
--
-- ask:                'admit', 'done' (calls have ended), 'probed' (a probing call has) or 'look'
-- good, bad:          how many calls have ended well and badly since the last report
-- rate, burst:        requests per second, and how many may go at once after a pause
-- patience:           the longest wait in ms that a slot is given out for
-- hold:               ms for which the upstream asked to be left alone
-- jitter:             0 to 1, drawn by the caller
--
-- Answers {verdict, ms, state, good, bad, held ms, paused ms}. The verdict: 'go' after ms, 'probe' at once, or 'no', worth
-- asking again in ms.

local key = KEYS[1]
local ask, good, bad, rate, burst, patience, hold, jitter = unpack(ARGV)
good, bad, rate, burst, patience, hold, jitter = tonumber(good), tonumber(bad), tonumber(rate), tonumber(burst),
  tonumber(patience), tonumber(hold), tonumber(jitter)

-- The breaker counts in two stretches of time, this one and the last. It opens once half of ten calls or more have failed.
local STRETCH, LEAST, SHARE = 5000, 10, 0.5
local FIRST_PAUSE, LONGEST_PAUSE = 1000, 30000
local PROBE_EVERY, PROBES = 500, 3
local LONGEST_HOLD, LONGEST_WAIT = 330000, 10000
local KEPT_MS = 3600000

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + tonumber(clock[2]) / 1000

local fields = { 'slot', 'hold', 'state', 'until', 'trips', 'probed', 'since', 'good', 'bad', 'good_before', 'bad_before' }
local row = redis.call('HMGET', key, unpack(fields))
local s = {}
for n, field in ipairs(fields) do
  s[field] = field == 'state' and (row[n] or 'closed') or tonumber(row[n] or 0)
end

-- The store's clock may have been set back, or a failover may have brought one that is behind: nothing lies further ahead
-- than it was ever put.
s.slot = math.min(s.slot, now + LONGEST_WAIT + 2000 / rate)
s.hold = math.min(s.hold, now + LONGEST_HOLD)
s['until'] = math.min(s['until'], now + 1.25 * LONGEST_PAUSE)
s.since = math.min(s.since, now)

local function open()
  s.state, s.trips = 'open', math.min(s.trips + 1, 16)
  local pause = math.min(FIRST_PAUSE * 2 ^ (s.trips - 1), LONGEST_PAUSE)
  s['until'] = now + pause * (0.75 + jitter / 2)
end

local function count()
  if now - s.since >= STRETCH then
    local fresh = now - s.since < 2 * STRETCH
    s.good_before, s.bad_before = fresh and s.good or 0, fresh and s.bad or 0
    s.good, s.bad, s.since = 0, 0, now
  end
  s.good, s.bad = s.good + good, s.bad + bad
end

if s.state == 'open' and now >= s['until'] then
  s.state, s.probed = 'probing', 0
  s['until'] = now
end

if s.state == 'closed' then
  count()
  local failed = s.bad + s.bad_before
  local all = failed + s.good + s.good_before
  if all >= LEAST and failed >= SHARE * all then open() end
elseif s.state == 'probing' and ask == 'probed' then
  if bad > 0 then
    open()
  else
    s.probed = s.probed + good
    if s.probed >= PROBES then
      s.state, s.trips, s.good, s.bad, s.good_before, s.bad_before, s.since = 'closed', 0, 0, 0, 0, 0, now
      -- What has piled up goes at the rate, not all at once.
      s.slot = math.max(s.slot, now)
    end
  end
end
if hold > 0 then s.hold = math.max(s.hold, now + hold) end

local verdict, ms = 'no', 0
if ask == 'admit' then
  local step = 1000 / rate
  local slot = math.max(s.slot, now - (burst - 1) * step)
  if s.state == 'open' or (s.state == 'probing' and now < s['until']) then
    ms = s['until'] - now
  elseif s.hold > now then
    ms = s.hold - now
  elseif s.state == 'probing' then
    verdict, s['until'], s.slot = 'probe', now + PROBE_EVERY, math.max(slot, now) + step
  elseif slot - now > patience then
    ms = slot - now - patience
  else
    verdict, ms, s.slot = 'go', math.max(0, slot - now), slot + step
  end
end

local flat = {}
for _, field in ipairs(fields) do
  flat[#flat + 1] = field
  flat[#flat + 1] = field == 'state' and s.state or string.format('%.3f', s[field])
end
redis.call('HSET', key, unpack(flat))
redis.call('PEXPIRE', key, KEPT_MS)
local pause = s.state == 'closed' and 0 or math.max(0, s['until'] - now)
return { verdict, math.ceil(ms), s.state, s.good + s.good_before, s.bad + s.bad_before,
  math.ceil(math.max(0, s.hold - now)), math.ceil(pause) }
