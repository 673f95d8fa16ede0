-- The next run to close, hidden from the other schedulers for a while.
-- KEYS  none (names from keys.py)
-- ARGV  hide_ms
-- returns the run, or nothing

local now = now_ms()
local run = redis.call('ZRANGEBYSCORE', closing_key(), '-inf', now, 'LIMIT', 0, 1)[1]
if not run then return false end
redis.call('ZADD', closing_key(), now + tonumber(ARGV[1]), run)
return run
