-- Stop a run: nothing more is admitted, running calls hear of it when they renew.
-- KEYS  none (names from keys.py)
-- ARGV  run
-- returns 1 when the run was running, else 0

local run = ARGV[1]
if redis.call('HGET', run_key(run), 'state') ~= 'running' then return 0 end
redis.call('HSET', run_key(run), 'state', 'finishing', 'cancelled', 1)
redis.call('ZREM', active_key(), run)
redis.call('ZREM', parked_key(), run)
settle(run)
return 1
