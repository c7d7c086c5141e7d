-- Fences: what a logout leaves behind, so that what it ended cannot register again (contract 6; design: fences).
-- Keyed by what was logged out: i (identity), d (identity, device), a (identity, address), s (identity, session).
-- A fence holds the second of the logout for each channel (0: not logged out there), and the session it ended, if known.

local FENCE = '<I4I4c8'

local function fence_key(kind, owner, what) return A .. ':f' .. kind .. owner .. what end

-- Whether the fence refuses a token issued at iat for this session: issued before the logout, or in the same second
-- unless the session is known to be another.
local function stops(fence, channels, iat, session)
  local notify, chat, ended = struct.unpack(FENCE, fence)
  local at = math.max(has(channels, NOTIFY) and notify or 0, has(channels, CHAT) and chat or 0)
  if at == 0 or iat > at then return false end
  local another = session ~= NO_SESSION and ended ~= NO_SESSION and session ~= ended
  return iat < at or not another
end

-- Whether a logout covers this registration. A session that was logged out is dead whatever its tokens' iat says:
-- that is exact, where iat is so only within the issuer's clock skew. Servers have no iat.
local function is_fenced(owner, device, addresses, session, channels, iat)
  local keys = { fence_key('s', owner, session), fence_key('i', owner, ''), fence_key('d', owner, device) }
  for _, id in ipairs(addresses) do keys[#keys + 1] = fence_key('a', owner, id) end
  local found = redis.call('MGET', unpack(keys))
  if found[1] and session ~= NO_SESSION then
    local notify, chat = struct.unpack(FENCE, found[1])
    if (has(channels, NOTIFY) and notify > 0) or (has(channels, CHAT) and chat > 0) then return true end
  end
  if not iat then return false end
  for n = 2, #keys do
    if found[n] and (n ~= 3 or device ~= NO_DEVICE) and stops(found[n], channels, iat, session) then return true end
  end
  return false
end

-- Raises a fence, or an older one with it: what either ended stays ended.
local function raise_fence(kind, owner, what, channels, session, lifetime)
  local key = fence_key(kind, owner, what)
  local old, notify, chat = redis.call('GET', key), 0, 0
  if old then
    local ended
    notify, chat, ended = struct.unpack(FENCE, old)
    -- One session is noted for both channels and seconds: where two logouts leave it open, none is.
    local stays = notify >= NOW or chat >= NOW or (notify > 0 and not has(channels, NOTIFY))
      or (chat > 0 and not has(channels, CHAT))
    if stays and ended ~= session then session = NO_SESSION end
  end
  if has(channels, NOTIFY) then notify = math.max(notify, NOW) end
  if has(channels, CHAT) then chat = math.max(chat, NOW) end
  redis.call('SET', key, struct.pack(FENCE, notify, chat, session), 'EX', lifetime)
end
