#!lua flags=allow-oom
-- Opens a Service's part of the store: makes its anchor, or checks that it was written by a schema and a fingerprint key
-- that this process shares. Answers {schema, check value of the fingerprint key} as they stand in the store.

local A, schema, check = KEYS[1], ARGV[1], ARGV[2]
local kept = redis.call('HMGET', A, 'schema', 'check')
if not kept[1] then
  local clock = redis.call('TIME')
  redis.call('HSET', A, 'schema', schema, 'check', check, 'version',
    string.format('%.0f', tonumber(clock[1]) * 1000000 + tonumber(clock[2])))
  return { schema, check }
end
return kept
