#!lua flags=no-writes,allow-oom
-- The record that a binding's SID leads to: one that an upstream gave, or else our own, whose first 12 bytes are its key.
-- Answers {key, record or nil}.

local space, sid = ARGV[1], ARGV[2]
local alias = redis.call('HGET', KEYS[1] .. ':a' .. sid:sub(1, 2), sid)
local id = alias and alias:sub(1, 1) == space and alias:sub(2) or sid:sub(1, 12)
return { id, redis.call('HGET', KEYS[1] .. ':' .. space .. id:sub(1, 2), id) }
