#!lua flags=allow-oom
-- One registration, or one channel of it, leaves the desired state: push turned off, or a binding deleted by its SID.
-- No logout: nothing is fenced. Contract 1 to 3.
--
-- The caller says what it means to remove: the owner it must belong to ('' for any), the generation ('' for any) and the
-- visible nonce ('' for any). Answers {whether anything was removed, lanes to wake}.
--@include record
--@include unit
--@include changes

local space, id, owner, generation, nonce, channels, at_once, reason, events_max = unpack(ARGV, 1, 9)
channels, at_once, generation = tonumber(channels), tonumber(at_once), tonumber(generation)

local r = get(space, id)
if not r or r.channels == 0 then return { 0, '' } end
if owner ~= '' and r.owner ~= owner then return { 0, '' } end
if generation and r.generation ~= generation then return { 0, '' } end
if nonce ~= '' then
  local state = space == 'r' and r.notify or r.chat
  local section = applied_section(r, state)
  if section == '' or section:sub(2, 5) ~= nonce then return { 0, '' } end
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
return { 1, commit(events_max) }
