#!lua flags=allow-oom
-- Settles leased entries of a Notify lane whose bindings are kept at an upstream (contract 3, 4).
--
-- Verdicts: 'held' the upstream holds the desired version; 'gone' nothing, as desired; 'later' it failed, try again; 'back'
-- it was not tried; 'full' it has no room until others of the identity are gone; 'dead' it refused for good.
-- Reports, what is known of the address there: 'same' as before; 'is' just this SID, type and attributes, or nothing;
-- 'unknown' something was sent, and nobody knows what came of it.
--
-- A record whose doubt is not over when the work began stays owed until then, to be looked at once more. A settlement
-- that comes after its lease is over tells of a call that raced with others: what it is about is in doubt from now.
-- Answers how many were settled.
--@include record
--@include unit
--@include changes

local lane, token, began, longest_ms, events_max = unpack(ARGV, 1, 5)
local key, settled = A .. ':' .. lane, 0
began, longest_ms, external = tonumber(began), tonumber(longest_ms), NOTIFY
local done, due, certain = {}, {}, {}

local function observe(id, r, report, sid, kind, attributes)
  if report == 'is' then
    local list = {}
    if sid ~= '' then list[1] = { type = kind, sid = sid, attributes = attributes } end
    if r.doubt and r.doubt > began then
      -- What was sent to these identities may still come.
      for _, t in ipairs(traces_of(r)) do suspect(list, t.type, t.attributes) end
    elseif r.doubt then
      r.doubt = nil
      if redis.call('GET', doubted_key(id)) ~= spent(r) then certain[#certain + 1] = { id, r.version } end
    end
    keep_traces(r, id, list)
  elseif report == 'unknown' then
    r.doubt = NOW_MS + longest_ms
    if kind then keep_traces(r, id, suspect(traces_of(r), kind, attributes)) end
  end
end

local function known_already(r, score, report, sid)
  if report ~= 'is' or score or r.doubt then return false end
  local first = traces_of(r)[1]
  return (first and first.sid or '') == sid
end

local scores = {}
for n = 6, #ARGV, 10 do scores[n] = redis.call('ZSCORE', key, ARGV[n]) end

for n = 6, #ARGV, 10 do
  local id, seen, verdict, delay, why, report, sid, kind, attributes, raw = unpack(ARGV, n, n + 9)
  kind = tonumber(kind)
  local score, r = scores[n], get('r', id)
  local holds = score and tonumber(score) == tonumber(token)
  if r and holds and r.version == tonumber(seen) then
    settled = settled + 1
    local told = r.traces
    -- Under the SID that is forgotten next.
    local ends = verdict == 'gone' and r.notify ~= NONE
    if ends then tell_end(id, r) end
    observe(id, r, report, sid, kind, attributes)
    -- It was looked at once nothing late could come any more, and refused: there is nothing left to look for.
    if verdict == 'dead' and r.doubt and r.doubt <= began then r.doubt = nil end
    if verdict == 'later' or verdict == 'back' or verdict == 'full' then
      if verdict == 'full' and not r.full then r.full, r.attempts = 1, 0 end
      if verdict ~= 'back' then r.attempts = math.min(r.attempts + 1, 255) end
      if r.doubt and r.notify == APPLIED then
        r.past, r.notify = applied_section(r, r.notify), UNKNOWN
      end
      put('r', id, r)
      due[#due + 1] = { id, NOW_MS + tonumber(delay) }
    else
      if r.doubt then due[#due + 1] = { id, r.doubt } else done[#done + 1] = id end
      if r.notify == FAILED and verdict ~= 'dead' then undead('n', id) end
      r.full = nil
      if verdict == 'dead' then
        r.notify, r.updated = FAILED, NOW
        put('r', id, r)
        bury('n', id, why)
        tell('failed', NOTIFY, id, r)
      elseif verdict == 'gone' then
        if ends then r.updated = NOW end
        r.notify, r.past, r.attempts = NONE, '', 0
        depart(id, told and DEPARTED_MS or UNSEEN_MS)
        rest(id, r)
      else
        if r.notify ~= APPLIED then
          r.notify, r.past, r.updated = APPLIED, '', NOW
          tell('applied', NOTIFY, id, r)
        end
        r.attempts = 0
        put('r', id, r)
      end
    end
  elseif r and holds then
    -- Changed meanwhile: what came of the call counts, what was to come of it no more.
    observe(id, r, report, sid, kind, attributes)
    put('r', id, r)
    due[#due + 1] = { id, NOW_MS }
  elseif r then
    if report ~= 'same' and not known_already(r, score, report, sid) then
      r.doubt = NOW_MS + longest_ms
      if kind then keep_traces(r, id, suspect(traces_of(r), kind, attributes)) end
      if r.notify == APPLIED then
        r.past, r.notify = applied_section(r, r.notify), UNKNOWN
      end
      put('r', id, r)
      -- Whoever holds its lease sees a doubt that is younger than its work.
      if not score or tonumber(score) % 1 == 0 then due[#due + 1] = { id, NOW_MS } end
    end
  elseif report == 'unknown' or (report == 'is' and sid ~= '') then
    -- Nobody wants it any more, and the call may have made it all the same.
    local t = decode(raw)
    t.channels, t.notify, t.chat, t.link, t.past, t.attempts, t.full = 0, PENDING, NONE, NO_LINK, '', 0, nil
    -- Its end was told when it went.
    t.nonce = NO_NONCE
    t.version, t.doubt, t.traces = next_version(), NOW_MS + longest_ms, nil
    keep_traces(t, id, suspect({}, kind or t.type, kind and attributes or t.attributes))
    put('r', id, t)
    due[#due + 1] = { id, NOW_MS }
  end
end

redis.call('EXISTS', key)
commit(events_max)
for _, was in ipairs(certain) do
  redis.call('SET', doubted_key(was[1]), string.format('%.0f', was[2]), 'PX', doubted_ms(longest_ms))
end
for _, entry in ipairs(due) do redis.call('ZADD', key, string.format('%.0f', entry[2]), entry[1]) end
if #done > 0 then redis.call('ZREM', key, unpack(done)) end
return settled
