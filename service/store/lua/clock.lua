#!lua flags=no-writes,allow-oom
-- The store's time in milliseconds.
local clock = redis.call('TIME')
return string.format('%.0f', tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000))
