#!lua flags=allow-oom
-- Settles leased entries of a Notify lane, each by compare-and-set on its version and its lease token (contract 3, 4).
--
-- Outcomes: 'held' the backend holds the desired version; 'gone' it holds nothing; 'later' it failed, try again; 'back' it
-- was not tried; 'dead' it refused for good.
-- A settle that does not match tells nothing of what the backend now holds: where the backend is not this store, the
-- entry becomes unknown and due. Answers how many were settled.
--@include record
--@include unit

local lane, token, external, events_max = unpack(ARGV, 1, 4)
local key, settled = A .. ':' .. lane, 0
external = external == '1'
local leased, due, letters = {}, {}, {}

local function gone(id, r)
  r.notify, r.past, r.attempts = NONE, '', 0
  if r.channels == 0 and r.chat == NONE then put('r', id, nil) else put('r', id, r) end
  emit('t', 'ended', 'c', 'notify', 'f', id, 'g', string.format('%.0f', r.generation), 's', r.nonce, 'u', r.owner)
end

for n = 5, #ARGV, 5 do
  local id, seen, outcome, delay, why = unpack(ARGV, n, n + 4)
  local score = redis.call('ZSCORE', key, id)
  local r = get('r', id)
  if r and score and tonumber(score) == tonumber(token) and r.version == tonumber(seen) then
    settled = settled + 1
    r.updated = NOW
    if outcome == 'held' then
      if r.notify ~= APPLIED then
        r.notify, r.past, r.attempts = APPLIED, '', 0
        put('r', id, r)
        emit('t', 'applied', 'c', 'notify', 'f', id, 'g', string.format('%.0f', r.generation), 's', r.nonce,
          'u', r.owner)
      end
      leased[#leased + 1] = id
    elseif outcome == 'gone' then
      gone(id, r)
      leased[#leased + 1] = id
    elseif outcome == 'later' or outcome == 'back' then
      if outcome == 'later' then r.attempts = math.min(r.attempts + 1, 255) end
      put('r', id, r)
      due[#due + 1] = { id, NOW_MS + tonumber(delay) }
    else
      r.notify = FAILED
      put('r', id, r)
      leased[#leased + 1] = id
      letters[#letters + 1] = { 'n' .. id, struct.pack('<I4', NOW) .. why }
      emit('t', 'failed', 'c', 'notify', 'f', id, 'g', string.format('%.0f', r.generation), 'u', r.owner)
    end
  elseif r and external then
    if r.notify == APPLIED then r.past = applied_section(r, APPLIED) end
    r.notify = UNKNOWN
    put('r', id, r)
    due[#due + 1] = { id, NOW_MS }
  end
end

redis.call('EXISTS', A .. ':dead', key)
commit(events_max)
for _, id in ipairs(leased) do redis.call('ZREM', key, id) end
for _, entry in ipairs(due) do redis.call('ZADD', key, entry[2], entry[1]) end
for _, letter in ipairs(letters) do redis.call('HSET', A .. ':dead', letter[1], letter[2]) end
return settled
