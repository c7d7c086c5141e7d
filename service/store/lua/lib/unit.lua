-- One unit of work: reads go to the store once, changes gather here, and commit() looks at every key before the first
-- write. During a classic slot migration a script that meets a missing key fails there, so it fails having written
-- nothing. Every key of a Service starts with its anchor, '{IS…}', and so lives in the anchor's slot.

local A = KEYS[1]
local LANES, FLAG_MS = 8, 2000

local clock = redis.call('TIME')
local NOW, NOW_MS = tonumber(clock[1]), tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- The channels whose bindings are kept at an upstream; a script that is told of any sets it.
local external = 0

-- `seen` is to the hour; where an upstream's times are compared with it, to the second.
local function seen_every() return external > 0 and 1 or 3600 end

-- Spaces of bucketed hashes: r registrations, k Chat bindings, i identities (their registrations), c identities (their
-- Chat bindings), p pointers (from a device or endpoint, and its kind), a the SIDs that an upstream has given.
local RECORDS = { r = true, k = true }
local cache = { r = {}, k = {}, i = {}, c = {}, p = {}, a = {} }
local rows, changed, marks, events, letters = {}, {}, {}, {}, {}
local version = nil

local function bucket(space, id) return A .. ':' .. space .. id:sub(1, 2) end

local function get(space, id)
  local found = cache[space][id]
  if found == nil then
    found = redis.call('HGET', bucket(space, id), id)
    if found and RECORDS[space] then found = decode(found) end
    cache[space][id] = found
  end
  return found or nil
end

local function put(space, id, value)
  local name = space .. id
  cache[space][id] = value or false
  if not changed[name] then
    changed[name] = true
    rows[#rows + 1] = { space, id, bucket(space, id) }
  end
end

-- Versions come from one counter and never restart: it is never behind the time in microseconds, so neither the loss of
-- the whole store nor a failover that takes it back a little gives a version twice.
local function next_version()
  if not version then
    version = redis.call('HGET', A, 'version')
    if not version then error({ err = 'NOANCHOR the store has not been opened' }) end
    version = math.max(tonumber(version), NOW * 1000000 + tonumber(clock[2]))
  end
  version = version + 1
  return version
end

local function mark(ledger, id) marks[#marks + 1] = { ledger, id } end
-- Dead letters are named by the ledger and the record's key. What is said last of one holds.
local function bury(ledger, id, why) letters[ledger .. id] = struct.pack('<I4', NOW) .. why end
local function undead(ledger, id) letters[ledger .. id] = false end

-- Rows are written before any is deleted: what empties a key does so last, and nothing meets a missing one half-way.
-- A bitmap for each space of records knows the buckets that are not empty.
local function write_rows()
  local gone, filled = {}, {}
  for _, row in ipairs(rows) do
    local space, key = row[1], row[3]
    if not cache[space][row[2]] and RECORDS[space] then filled[key] = filled[key] or redis.call('HLEN', key) end
  end
  for _, row in ipairs(rows) do
    local space, id, key = row[1], row[2], row[3]
    local value = cache[space][id]
    if not value then
      gone[#gone + 1] = row
    elseif RECORDS[space] then
      value.raw = encode(value)
      if redis.call('HSET', key, id, value.raw) == 1 then
        if filled[key] then filled[key] = filled[key] + 1 end
        local bit_ = id:byte(1) * 256 + id:byte(2)
        -- Nearly always set already, and a read is not written to the append-only file.
        if redis.call('GETBIT', A .. ':' .. space, bit_) == 0 then redis.call('SETBIT', A .. ':' .. space, bit_, 1) end
      end
    else
      redis.call('HSET', key, id, value)
    end
  end
  for _, row in ipairs(gone) do
    local space, id, key = row[1], row[2], row[3]
    if redis.call('HDEL', key, id) == 1 and RECORDS[space] then
      filled[key] = filled[key] - 1
      if filled[key] == 0 then redis.call('SETBIT', A .. ':' .. space, id:byte(1) * 256 + id:byte(2), 0) end
    end
  end
end

-- Whether an entry of a ledger is under lease, or was and nobody has settled it: a lease's score has a fraction.
local function leased(ledger, id)
  local score = redis.call('ZSCORE', A .. ':' .. ledger .. (id:byte(3) % LANES), id)
  return score and tonumber(score) % 1 ~= 0
end

-- Writes everything and answers the lanes to wake, two bytes each: the ledger's letter and the lane's number.
local function commit(events_max)
  local keys, named = { A, A .. ':e', A .. ':r', A .. ':k', A .. ':dead' }, {}
  for _, m in ipairs(marks) do
    local lane = m[1] .. (m[2]:byte(3) % LANES)
    m[3], m[4] = lane, A .. ':w' .. lane
    if not named[lane] then
      named[lane] = true
      keys[#keys + 1], keys[#keys + 2] = A .. ':' .. lane, m[4]
    end
  end
  redis.call('EXISTS', unpack(keys))
  write_rows()
  if version then redis.call('HSET', A, 'version', string.format('%.0f', version)) end
  for name, letter in pairs(letters) do
    if letter then redis.call('HSET', keys[5], name, letter) end
  end
  for name, letter in pairs(letters) do
    if not letter then redis.call('HDEL', keys[5], name) end
  end
  local wake = {}
  for _, m in ipairs(marks) do
    -- One worker at a time speaks to an upstream about one thing: there a mark breaks no lease. Its end makes it due.
    if not (external > 0 and has(external, m[1] == 'n' and NOTIFY or CHAT) and leased(m[1], m[2])) then
      redis.call('ZADD', A .. ':' .. m[3], NOW_MS, m[2])
    end
    if redis.call('SET', m[4], '1', 'NX', 'PX', FLAG_MS) then wake[#wake + 1] = m[3] end
  end
  for _, e in ipairs(events) do redis.call('XADD', keys[2], 'MAXLEN', '~', events_max, '*', unpack(e)) end
  return table.concat(wake)
end
