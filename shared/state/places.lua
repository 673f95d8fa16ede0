-- What several scripts do: read the time, and take or give back the places that a call holds.
-- Sent before each script; the <name>_key functions and LIFE_S come from keys.py.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number) return string.format('%.0f', number) end

local function keep(name, key) redis.call('EXPIRE', key, LIFE_S[name]) end

local function keep_run(run)
  keep('run', run_key(run))
  keep('plan', plan_key(run))
  keep('lanes', lanes_key(run))
  keep('open', open_key(run))
  keep('events', events_key(run))
end

-- Let admission look at the run again; one that was away gets no credit for it (stride).
local function activate(run)
  local state, left, pass = unpack(redis.call('HMGET', run_key(run), 'state', 'left', 'pass'))
  redis.call('ZREM', parked_key(), run)
  if state ~= 'running' or tonumber(left) <= 0 then return end
  if redis.call('ZSCORE', active_key(), run) then return end
  local vtime = tonumber(redis.call('GET', vtime_key()) or 0)
  redis.call('ZADD', active_key(), math.max(tonumber(pass), vtime), run)
end

-- Count a call in (1) or out (-1) of a worker's hands. A run that Redis lost is not made anew.
local function employ(run, worker, by)
  if redis.call('EXISTS', run_key(run)) == 1 then
    redis.call('HINCRBY', run_key(run), 'running', by)
  end
  redis.call('HINCRBY', busy_key(), '*', by)
  if redis.call('HINCRBY', busy_key(), worker, by) <= 0 then
    redis.call('HDEL', busy_key(), worker)
  end
end

-- Take an attempt out of leases, arq and every limit. The call's hash stays.
local function release(run, index, attempt)
  local id = run .. ':' .. index .. ':' .. attempt
  local state, endpoint, worker =
    unpack(redis.call('HMGET', call_key(run, index), 'state', 'endpoint', 'worker'))
  redis.call('ZREM', leases_key(), id)
  redis.call('ZREM', queue_key(), id)
  redis.call('DEL', job_key(id), in_progress_key(id), arq_retry_key(id))
  redis.call('SREM', held_key(run), index)
  if endpoint then redis.call('SREM', endpoint_key(endpoint), run .. ':' .. index) end
  if state == 'running' then employ(run, worker, -1) end
  activate(run)
end

-- Put a released call at the end of its lane's retries, which go before the lane's cursor.
local function queue_again(run, index)
  local lane = text(math.floor(index / redis.call('HGET', run_key(run), 'per_lane')))
  redis.call('HSET', call_key(run, index), 'state', 'waiting')
  redis.call('RPUSH', retries_key(run, lane), index)
  keep('retries', retries_key(run, lane))
  if not redis.call('LPOS', open_key(run), lane) then
    redis.call('RPUSH', open_key(run), lane)
    keep('open', open_key(run))
  end
  redis.call('HINCRBY', run_key(run), 'left', 1)
  activate(run)
end

-- Hand the run to closing when nothing of it is left to wait for.
local function settle(run)
  local state, planned, done =
    unpack(redis.call('HMGET', run_key(run), 'state', 'planned', 'done'))
  if state == 'running' and tonumber(done) >= tonumber(planned) then
    redis.call('HSET', run_key(run), 'state', 'finishing')
    redis.call('ZADD', closing_key(), 'NX', now_ms(), run)
  elseif state == 'finishing' and redis.call('SCARD', held_key(run)) == 0 then
    redis.call('ZADD', closing_key(), 'NX', now_ms(), run)
  end
end

-- A cancelled run's call ends without a result.
local function drop(run, index, attempt)
  release(run, index, attempt)
  redis.call('HSET', call_key(run, index), 'state', 'dropped')
  redis.call('EXPIRE', call_key(run, index), COMMITTED_LIFE_S)
  settle(run)
end

local function earlier_with(earlier, reason)
  if not earlier or earlier == '' then return reason end
  return earlier .. ',' .. reason
end
