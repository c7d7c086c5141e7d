#!lua flags=allow-oom
-- Takes due entries of a Notify lane whose bindings are kept at an upstream. As take.lua, but for what follows from there
-- being another party:
--
-- An entry whose lease ran out was at work when its worker died or stopped: what it sent may have arrived, or may yet. The
-- record is in doubt from here, until no request of then can take effect any more.
-- A removed registration comes with the one that has taken its place on its device, which may have to be first.
--
-- Answers {token, now in ms, fingerprint, record, the successor's record or '', score, …}.
--@include record
--@include unit
--@include changes

local lane, limit, lease_ms, longest_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local key, flag = A .. ':' .. lane, A .. ':w' .. lane

local due = redis.call('ZRANGEBYSCORE', key, '-inf', NOW_MS, 'WITHSCORES', 'LIMIT', 0, limit)
if #due == 0 then
  redis.call('DEL', flag)
  return {}
end
redis.call('EXISTS', A, flag)
local taken, scores, stray = {}, {}, {}
-- After a cut-over that was undone calls of before it may yet come, as long as a lease and the longest request last.
local furthest = math.max(NOW_MS + longest_ms,
  math.min(1000 * tonumber(redis.call('HGET', A, 'until1') or 0), NOW_MS + lease_ms + longest_ms + 2000))
for n = 1, #due, 2 do
  local id = due[n]
  local r = get('r', id)
  if r then
    taken[#taken + 1], scores[id] = id, due[n + 1]
    if tonumber(due[n + 1]) % 1 ~= 0 then
      r.past = r.channels ~= 0 and applied_section(r, r.notify) or ''
      if r.notify == APPLIED then r.notify = UNKNOWN end
      r.doubt = NOW_MS + longest_ms
      -- Known from here on for what may have been sent, whoever has the address next.
      if has(r.channels, NOTIFY) then keep_traces(r, id, suspect(traces_of(r), r.type, r.attributes)) end
      put('r', id, r)
    elseif r.doubt and r.doubt > furthest then
      -- The store's clock was set back.
      r.doubt = furthest
      put('r', id, r)
    end
  else
    stray[#stray + 1] = id
  end
end

local turn = redis.call('HINCRBY', A, 'lease', 1) % 4095 + 1
local token = string.format('%.17g', NOW_MS + lease_ms + turn / 4096)
commit('0')
redis.call('SET', flag, '1', 'PX', FLAG_MS)
local answer = { token, string.format('%.0f', NOW_MS) }
for _, id in ipairs(taken) do
  local r = get('r', id)
  local after = nil
  if not has(r.channels, NOTIFY) and KIND[r.type] and r.device ~= NO_DEVICE then
    after = get('p', r.device .. KIND[r.type])
  end
  answer[#answer + 1] = id
  answer[#answer + 1] = r.raw
  answer[#answer + 1] = after and after ~= id and redis.call('HGET', bucket('r', after), after) or ''
  answer[#answer + 1] = scores[id]
end
for _, id in ipairs(taken) do redis.call('ZADD', key, token, id) end
if #stray > 0 then redis.call('ZREM', key, unpack(stray)) end
return answer
