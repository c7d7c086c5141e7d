#!lua flags=allow-oom
-- A dead letter is armed again, or dropped. A registration that is dropped stays failed until it is registered again; a
-- removal that is dropped is given up, whatever the backend still holds: its record goes, if nothing else is wanted of it.
--
-- Answers {1 if there was one, lanes to wake}.
--@include record
--@include unit
--@include changes

local name, verb, events_max = ARGV[1], ARGV[2], ARGV[3]
external = tonumber(ARGV[4])
local ledger, id = name:sub(1, 1), name:sub(2)
if redis.call('HEXISTS', A .. ':dead', name) == 0 then return { 0, '' } end
undead(ledger, id)

local row = get(ledger == 'n' and 'r' or 'k', id)
local state = row and (ledger == 'n' and row.notify or row.chat) or nil
if state == FAILED and verb == 'retry' then
  row.attempts = 0
  if ledger == 'n' then
    row.notify = PENDING
    put('r', id, row)
    mark('n', id)
  else
    row.chat = PENDING
    put('k', id, row)
    local source = get('r', row.link)
    if source and source.link == id then
      source.chat = PENDING
      put('r', row.link, source)
    end
    mark('h', row.owner)
  end
  tell('rearmed', ledger == 'n' and NOTIFY or CHAT, id, row)
elseif state == FAILED and not has(row.channels, ledger == 'n' and NOTIFY or CHAT) then
  if ledger == 'n' then
    tell_end(id, row)
    row.notify = NONE
    -- Known as removed, what an upstream still holds of it is adopted by nobody.
    if has(external, NOTIFY) and row.traces then put('r', id, row) else rest(id, row) end
  else
    end_chats(row.owner, { [id] = row })
  end
end
return { 1, commit(events_max) }
