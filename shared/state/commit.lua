-- The one result of a call: refused unless this attempt is the current one and running.
-- KEYS  none (names from keys.py)
-- ARGV  run, index, attempt, verdict, validity, ended reason, failure owner or '', summary,
--       events kept, duration_ms
-- returns 1 when this attempt's result stands (also when asked again), 0 when fenced off

local run, index, attempt = ARGV[1], ARGV[2], ARGV[3]
local verdict, validity, reason, owner = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local call, counters = call_key(run, index), run_key(run)
local current, state, earlier = unpack(redis.call('HMGET', call, 'attempt', 'state', 'earlier'))

if current ~= attempt or redis.call('EXISTS', counters) == 0 then return 0 end
if state == 'done' then return 1 end
if state ~= 'running' then return 0 end

release(run, index, attempt)
redis.call('HSET', call, 'state', 'done', 'reason', reason)
redis.call('EXPIRE', call, COMMITTED_LIFE_S)
local outcome = ({pass = 'passed', fail = 'failed'})[verdict] or 'unjudged'
if validity == 'void' then outcome = 'void' end
redis.call('HINCRBY', counters, 'done', 1)
redis.call('HINCRBY', counters, outcome, 1)
redis.call('HINCRBY', counters, 'reason:' .. reason, 1)
if owner ~= '' then redis.call('HINCRBY', counters, 'owner:' .. owner, 1) end
redis.call('HINCRBY', counters, 'duration_ms', ARGV[10])
if earlier and earlier ~= '' then redis.call('HINCRBY', counters, 'retried', 1) end
redis.call('XADD', events_key(run), 'MAXLEN', '~', ARGV[9], '*', 'index', index,
  'attempt', attempt, 'verdict', verdict, 'validity', validity, 'reason', reason,
  'summary', ARGV[8])
keep_run(run)
settle(run)
return 1
