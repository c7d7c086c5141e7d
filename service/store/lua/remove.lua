#!lua flags=allow-oom
-- One registration, or one channel of it, leaves the desired state: push turned off, or a binding deleted by its SID.
-- No logout: nothing is fenced. Contract 1 to 3.
--
-- The caller says what it means to remove: a record by its key, of an owner ('' for any) and a generation ('' for any); or
-- what is visible under a SID. `since`, if not '', is a time in seconds: a record seen at or after it stays, and so does one
-- that may have been, as `seen` is kept to the hour where there is no upstream, or was none. Answers {1 if anything was
-- removed, 2 if it stays for that, lanes to wake, its key}.
--@include record
--@include unit
--@include changes

local space, id, owner, generation, since, sid, channels, at_once, reason, events_max = unpack(ARGV, 1, 10)
channels, at_once, generation, since = tonumber(channels), tonumber(at_once), tonumber(generation), tonumber(since)
external, at_once = bit.rshift(at_once, 2), bit.band(at_once, 3)
if sid ~= '' then
  local alias = get('a', sid)
  id = alias and alias:sub(1, 1) == space and alias:sub(2) or sid:sub(1, 12)
end

local r = get(space, id)
if not r or r.channels == 0 then return { 0, '', '' } end
if owner ~= '' and r.owner ~= owner then return { 0, '', '' } end
if generation and r.generation ~= generation then return { 0, '', '' } end
if since and r.seen + 3600 > since then return { 2, '', '' } end
if sid ~= '' then
  local state = space == 'r' and r.notify or r.chat
  local section = applied_section(r, state)
  if section == '' or shown_sid(id, r, section) ~= sid then return { 0, '', '' } end
end

if space == 'r' then
  take_out(id, r, channels, at_once, reason)
else
  local source = get('r', r.link)
  if source and source.link == id then
    take_out(r.link, source, CHAT, at_once, reason)
  else
    drop_chat(id, at_once, reason)
  end
end
return { 1, commit(events_max), id }
