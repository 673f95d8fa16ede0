-- The worker's first act: admitted becomes running. A cancelled run's call is dropped instead.
-- KEYS  none (names from keys.py)
-- ARGV  run, index, attempt, worker, token (same token: the answer to the first asking was lost),
--       lease_ms
-- returns {lease end in ms, earlier attempts joined by commas}, or nothing: not yours (any more)

local run, index, attempt, worker, token = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local ends = now_ms() + tonumber(ARGV[6])
local id, call = run .. ':' .. index .. ':' .. attempt, call_key(run, index)
local current, state, held_by, earlier =
  unpack(redis.call('HMGET', call, 'attempt', 'state', 'token', 'earlier'))

if current ~= attempt then return false end
if state == 'running' and held_by == token then return {ends, earlier or ''} end
if state ~= 'admitted' then return false end
if redis.call('HGET', run_key(run), 'state') ~= 'running' then
  drop(run, index, attempt)
  return false
end
redis.call('HSET', call, 'state', 'running', 'worker', worker, 'token', token)
keep('call', call)
employ(run, worker, 1)
redis.call('ZADD', leases_key(), ends, id)
redis.call('ZADD', queue_key(), 'XX', ends, id)  -- arq skips scores in the future
return {ends, earlier or ''}
