-- A worker gives a running call back to be tried again.
-- KEYS  none (names from keys.py)
-- ARGV  run, index, attempt, ended reason, 1 when it counts as one of the run's retries
-- returns 1 when it will be tried again, 0 when not: retries used up, run cancelled, or fenced off

local run, index, attempt, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local call = call_key(run, index)
local current, state, tries, earlier =
  unpack(redis.call('HMGET', call, 'attempt', 'state', 'tries', 'earlier'))
local run_state, retries = unpack(redis.call('HMGET', run_key(run), 'state', 'retries'))

if current ~= attempt or run_state ~= 'running' then return 0 end
if state == 'waiting' then return 1 end  -- the answer to the first asking was lost
if state ~= 'running' then return 0 end
if ARGV[5] == '1' then
  if tonumber(tries or 0) >= tonumber(retries) then return 0 end
  redis.call('HINCRBY', call, 'tries', 1)
end
release(run, index, attempt)
redis.call('HSET', call, 'earlier', earlier_with(earlier, reason))
queue_again(run, index)
return 1
