#!lua flags=allow-oom
-- Finds lanes with overdue work that nobody has been woken for. This is what makes the job queue disposable.
--
-- The store's clock may have been set back, or a failover may have brought one that is behind: what the old clock put off
-- for longer than anything is ever put off is due now, and a wake flag that outlives its time holds nobody back.
-- Answers {lanes to wake, dead letters, events, {of the Notify ledger: entries, those that are due, milliseconds by which the
-- oldest of these is late}, {of the Chat ledger: the same}}.
--@include record
--@include unit

local LONGEST_MS = 600000
local lanes, flags, astray, seen = {}, {}, {}, {}
for _, ledger in ipairs({ 'n', 'h' }) do
  local depth, due, oldest = 0, 0, 0
  for lane = 0, LANES - 1 do
    local name = ledger .. lane
    local key = A .. ':' .. name
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    local ahead = redis.call('ZRANGEBYSCORE', key, NOW_MS + LONGEST_MS, '+inf', 'WITHSCORES', 'LIMIT', 0, 500)
    depth = depth + redis.call('ZCARD', key)
    -- What was leased still shows it: the fraction stays.
    for n = 1, #ahead, 2 do astray[#astray + 1] = { key, ahead[n], NOW_MS - 1 + tonumber(ahead[n + 1]) % 1 } end
    if #ahead > 0 or (first[2] and tonumber(first[2]) <= NOW_MS) then
      lanes[#lanes + 1] = name
      flags[#flags + 1] = A .. ':w' .. name
      due = due + redis.call('ZCOUNT', key, '-inf', NOW_MS)
      oldest = math.max(oldest, NOW_MS - tonumber(first[2]))
    end
  end
  seen[#seen + 1] = { depth, due, math.floor(oldest) }
end
if #flags > 0 then redis.call('EXISTS', unpack(flags)) end
for _, entry in ipairs(astray) do redis.call('ZADD', entry[1], string.format('%.17g', entry[3]), entry[2]) end
local wake = {}
for n, flag in ipairs(flags) do
  local stale = redis.call('PTTL', flag) > FLAG_MS
  local set = stale and redis.call('SET', flag, '1', 'PX', FLAG_MS) or redis.call('SET', flag, '1', 'NX', 'PX', FLAG_MS)
  if set then wake[#wake + 1] = lanes[n] end
end
return { table.concat(wake), redis.call('HLEN', A .. ':dead'), redis.call('XLEN', A .. ':e'), seen[1], seen[2] }
