#!lua flags=no-writes,allow-oom
-- Who has registered Chat endpoints: for each digest asked for, in order, the owner of its live Chat binding, or ''.
-- Only registrations count. An endpoint of one device is registered for Apple's or for Google's tokens; whoever was last counts.
--@include record
--@include unit

local answer = {}
for n, endpoint in ipairs(ARGV) do
  local owner, latest = '', 0
  for _, kind in ipairs({ 'A', 'G' }) do
    local id = get('p', endpoint .. kind)
    local c = id and get('k', id) or nil
    if c and c.channels ~= 0 and c.link ~= NO_LINK and c.device == endpoint and c.version > latest then owner, latest = c.owner, c.version end
  end
  answer[n] = owner
end
return answer
