#!lua flags=no-writes,allow-oom
-- One stretch of a Service-wide list, in the order of the fingerprints, forwards or backwards from a position that is
-- not part of it. A bitmap of occupied buckets leads from one to the next. Bounded by records and by buckets visited.
--
-- Answers {position to go on from, or '' at the end; fingerprint, record, …}.

local A = KEYS[1]
local space, from, backwards, records, buckets = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4]), tonumber(ARGV[5])
local seats = A .. ':' .. space

local function seat_of(id) return id:byte(1) * 256 + id:byte(2) end
local function prefix(seat) return string.char(math.floor(seat / 256), seat % 256) end

-- Bytewise. Lua's own < goes by the server's locale, and two fingerprints may be neither before nor after each other.
local function precedes(a, b)
  local a1, a2 = struct.unpack('>I6I6', a)
  local b1, b2 = struct.unpack('>I6I6', b)
  return a1 < b1 or (a1 == b1 and a2 < b2)
end

local function occupied_after(seat)
  if seat > 65535 then return nil end
  local found = redis.call('BITPOS', seats, 1, seat, -1, 'BIT')
  return found >= 0 and found or nil
end

local function occupied_before(seat)
  while seat >= 0 do
    local byte = math.floor(seat / 8)
    local first = math.max(0, byte - 255)
    local stretch = redis.call('GETRANGE', seats, first, byte)
    while seat >= first * 8 do
      local value = stretch:byte(math.floor(seat / 8) - first + 1) or 0
      if value == 0 then
        seat = math.floor(seat / 8) * 8 - 1
      elseif bit.band(value, bit.lshift(1, 7 - seat % 8)) ~= 0 then
        return seat
      else
        seat = seat - 1
      end
    end
  end
  return nil
end

local answer, found = { '' }, 0
local seat
if from == '' then
  seat = backwards and occupied_before(65535) or (not backwards and occupied_after(0)) or nil
else
  -- The bucket that the position lies in is not counted: else a call might get no further than there.
  seat, buckets = seat_of(from), buckets + 1
end
while seat do
  local flat = redis.call('HGETALL', seats .. prefix(seat))
  local ids, rows = {}, {}
  for n = 1, #flat, 2 do
    local id = flat[n]
    if from == '' or (backwards and precedes(id, from)) or (not backwards and precedes(from, id)) then
      ids[#ids + 1] = id
      rows[id] = flat[n + 1]
    end
  end
  table.sort(ids, function(a, b) if backwards then return precedes(b, a) end return precedes(a, b) end)
  for n, id in ipairs(ids) do
    answer[#answer + 1] = id
    answer[#answer + 1] = rows[id]
    found = found + 1
    if found == records then
      answer[1] = id
      return answer
    end
  end
  buckets = buckets - 1
  if backwards then seat = occupied_before(seat - 1) else seat = occupied_after(seat + 1) end
  if seat and buckets <= 0 then
    -- The edge of the last bucket visited stands for everything in it.
    local last = backwards and seat + 1 or seat - 1
    answer[1] = prefix(last) .. (backwards and ('\0'):rep(10) or ('\255'):rep(10))
    return answer
  end
end
return answer
