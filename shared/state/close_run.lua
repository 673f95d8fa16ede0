-- The run's result is in storage: say so.
-- KEYS  none (names from keys.py)
-- ARGV  run, state (finished or cancelled), verdict
-- returns 1 when this closed the run, 0 when it was closed before or is gone

local run, state, verdict = ARGV[1], ARGV[2], ARGV[3]
redis.call('ZREM', closing_key(), run)
if redis.call('HGET', run_key(run), 'state') ~= 'finishing' then return 0 end
redis.call('HSET', run_key(run), 'state', state, 'verdict', verdict, 'finished_ms', text(now_ms()))
redis.call('UNLINK', open_key(run), held_key(run))
keep_run(run)
return 1
