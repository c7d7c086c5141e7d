-- The layout of a record: service/domain/record.py describes it, and a test compares the two.

local HEADER = '<BBBBBBc16c12c12c8I8I8c4I4I4I4HHH'
local APPLIED_SECTION = '<Bc4I4I4'
local LAYOUT, TRACED = 1, 2
local DOUBT, TRACE = '<I8B', '<Bc16H'
local NO_DEVICE, NO_LINK, NO_SESSION = ('\0'):rep(12), ('\0'):rep(12), ('\0'):rep(8)
-- Of a registration without Notify that has replaced another identity's: what may still go there was never its own.
local NO_NONCE = ('\0'):rep(4)
local NO_SID = ('\0'):rep(16)
local NOTIFY, CHAT = 1, 2
local NONE, PENDING, APPLIED, FAILED, UNKNOWN = 0, 1, 2, 3, 4
-- Devices are pointed at by kind: one for Apple's tokens, one for Google's. Messaging types have none.
local KIND = { [1] = 'a', [2] = 'g', [3] = 'g' }

local function decode(raw)
  -- `raw` stays what the store holds, whatever becomes of the fields: it is what scripts answer.
  local r, layout, la, lb, lc, at = { raw = raw }, nil, nil, nil, nil, nil
  layout, r.type, r.channels, r.notify, r.chat, r.attempts, r.owner, r.device, r.link, r.session, r.version,
    r.generation, r.nonce, r.created, r.updated, r.seen, la, lb, lc, at = struct.unpack(HEADER, raw)
  if layout > TRACED then error({ err = 'LAYOUT a record has a layout that is not known here' }) end
  r.address = raw:sub(at, at + la - 1)
  r.attributes = raw:sub(at + la, at + la + lb - 1)
  r.extras = raw:sub(at + la + lb, at + la + lb + lc - 1)
  at = at + la + lb + lc
  if layout == LAYOUT then
    r.past = raw:sub(at)
  else
    local length, rest_ = struct.unpack('<H', raw, at)
    r.past = raw:sub(rest_, rest_ + length - 1)
    r.doubt, r.full, at = struct.unpack(DOUBT, raw, rest_ + length)
    r.traces = raw:sub(at)
    if r.doubt == 0 then r.doubt = nil end
    if r.full == 0 then r.full = nil end
    if r.traces == '' then r.traces = nil end
  end
  return r
end

local function encode(r)
  local traced = r.traces or r.doubt or r.full
  local plain = struct.pack(HEADER, traced and TRACED or LAYOUT, r.type, r.channels, r.notify, r.chat, r.attempts, r.owner, r.device, r.link,
    r.session, r.version, r.generation, r.nonce, r.created, r.updated, r.seen, #r.address, #r.attributes, #r.extras)
    .. r.address .. r.attributes .. r.extras
  if not traced then return plain .. r.past end
  return plain .. struct.pack('<H', #r.past) .. r.past .. struct.pack(DOUBT, r.doubt or 0, r.full or 0) .. (r.traces or '')
end

local function has(mask, bit_) return bit.band(mask, bit_) ~= 0 end
local function without(mask, bits) return bit.band(mask, bit.bnot(bits)) end

-- The last applied version, to stay visible while a change by the same owner is pending.
local function applied_section(r, state)
  if state == APPLIED then
    return struct.pack(APPLIED_SECTION, r.type, r.nonce, r.created, r.updated) .. r.attributes
  end
  return r.past
end
