#!lua flags=no-writes,allow-oom
-- Who has Chat endpoints: for each digest asked for, in order, the owner of its live Chat binding, or ''.
-- Only registrations count, unless `adopted` is '1'. An endpoint of one device is registered for Apple's or for Google's tokens; whoever was last counts.
--@include record
--@include unit

local answer, adopted = {}, ARGV[1] == '1'
for n = 2, #ARGV do
  local endpoint, owner, latest = ARGV[n], '', 0
  for _, kind in ipairs({ 'A', 'G' }) do
    local id = get('p', endpoint .. kind)
    local c = id and get('k', id) or nil
    local counts = c and c.channels ~= 0 and (adopted or c.link ~= NO_LINK) and c.device == endpoint
    if counts and c.version > latest then owner, latest = c.owner, c.version end
  end
  answer[n - 1] = owner
end
return answer
