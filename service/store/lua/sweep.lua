#!lua flags=allow-oom
-- Finds lanes with overdue work that nobody has been woken for. This is what makes the job queue disposable.
-- Answers {lanes to wake, entries in the ledgers, milliseconds by which the oldest due entry is late}.
--@include record
--@include unit

local wake, depth, oldest, lanes, flags = {}, 0, 0, {}, {}
for _, ledger in ipairs({ 'n', 'h' }) do
  for lane = 0, LANES - 1 do
    local name = ledger .. lane
    local first = redis.call('ZRANGE', A .. ':' .. name, 0, 0, 'WITHSCORES')
    depth = depth + redis.call('ZCARD', A .. ':' .. name)
    if first[2] and tonumber(first[2]) <= NOW_MS then
      lanes[#lanes + 1] = name
      flags[#flags + 1] = A .. ':w' .. name
      oldest = math.max(oldest, NOW_MS - tonumber(first[2]))
    end
  end
end
if #flags > 0 then redis.call('EXISTS', unpack(flags)) end
for _, name in ipairs(lanes) do
  if redis.call('SET', A .. ':w' .. name, '1', 'NX', 'PX', FLAG_MS) then wake[#wake + 1] = name end
end
return { table.concat(wake), depth, math.floor(oldest) }
