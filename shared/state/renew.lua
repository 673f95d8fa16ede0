-- Renew a worker's leases in one batch and tell it which calls were cancelled or lost.
-- KEYS  none (names from keys.py)
-- ARGV  worker, lease_ms, then run, index, attempt of each call
-- returns one of 'held', 'cancelled' (held, and to be ended), 'lost' per call, in order

local worker, ends = ARGV[1], now_ms() + tonumber(ARGV[2])
local answers = {}
for i = 3, #ARGV, 3 do
  local run, index, attempt = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local id, call = run .. ':' .. index .. ':' .. attempt, call_key(run, index)
  local current, state, holder = unpack(redis.call('HMGET', call, 'attempt', 'state', 'worker'))
  local answer = 'lost'
  if current == attempt and state == 'running' and holder == worker then
    redis.call('ZADD', leases_key(), ends, id)
    redis.call('ZADD', queue_key(), 'XX', ends, id)
    keep('call', call)
    answer = redis.call('HGET', run_key(run), 'state') == 'running' and 'held' or 'cancelled'
  end
  answers[#answers + 1] = answer
end
return answers
