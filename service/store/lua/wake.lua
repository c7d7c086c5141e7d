#!lua flags=allow-oom
-- Holds a lane's wake flag for the job that goes on with it. Answers 1 if the lane still has due entries.
--@include record
--@include unit

local lane = ARGV[1]
local first = redis.call('ZRANGE', A .. ':' .. lane, 0, 0, 'WITHSCORES')
redis.call('EXISTS', A .. ':w' .. lane)
if not first[2] or tonumber(first[2]) > NOW_MS then
  redis.call('DEL', A .. ':w' .. lane)
  return 0
end
redis.call('SET', A .. ':w' .. lane, '1', 'PX', FLAG_MS)
return 1
