#!lua flags=allow-oom
-- Where a Service's bindings are kept, by channel. ask 'over': in this store from now on; 'back': where they are configured to
-- be, and what has changed since is to be sent there; 'done': it has been; '': just looks.
-- The time of a switch counts, if both sides agreed then: what is there from before, and unknown here, has gone here since.
-- So has what a Notify call that was under way has made until `late` seconds after; who undoes it before that, and is done,
-- leaves a note of it.
-- Answers {channels that are kept here, for Notify and for Chat the time of the switch that is being undone, or ''}.

local A, ask, channels, agreed = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local found = redis.call('HMGET', A, 'schema', 'backend')
if not found[1] then error({ err = 'NOANCHOR the store has not been opened' }) end
local here = tonumber(found[2] or '0')
local now, late = tonumber(redis.call('TIME')[1]), tonumber(ARGV[4] or '0')
for _, channel in ipairs({ 1, 2 }) do
  local mine, kept = bit.band(channels, channel) ~= 0, bit.band(here, channel) ~= 0
  local since, undo = 'since' .. channel, 'undo' .. channel
  if mine and ask == 'over' and not kept then
    here = here + channel
    redis.call('HSET', A, since, agreed and now + (channel == 1 and late or 0) or 0)
    if channel == 1 then redis.call('HSET', A, 'until1', now + late + 1) end
    redis.call('HDEL', A, undo, 'late' .. channel)
  elseif mine and ask == 'back' and kept then
    here = here - channel
    redis.call('HSET', A, undo, redis.call('HGET', A, since) or '0')
    redis.call('HDEL', A, since)
  elseif mine and ask == 'done' then
    local at = redis.call('HGET', A, undo)
    if at and tonumber(at) >= now then redis.call('HSET', A, 'late' .. channel, at) end
    redis.call('HDEL', A, undo)
  end
end
if here ~= tonumber(found[2] or '0') then redis.call('HSET', A, 'backend', here) end
local undone = redis.call('HMGET', A, 'undo1', 'undo2')
return { here, undone[1] or '', undone[2] or '' }
