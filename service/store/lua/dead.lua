#!lua flags=no-writes,allow-oom
-- Every dead letter: name, and when and why, in turn.
return redis.call('HGETALL', KEYS[1] .. ':dead')
