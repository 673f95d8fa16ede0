-- Admit a batch of calls: run by weighted stride, lane in turn, within every limit.
-- KEYS  none (names from keys.py)
-- ARGV  claim_ms, batch, look-ahead (jobs beyond the free slots), park_ms (a blocked run's next look)
-- returns {slots still free, calls admitted and unclaimed, run:index:attempt, ...}

local now, claim_ms, batch = now_ms(), tonumber(ARGV[1]), tonumber(ARGV[2])
local lookahead, park_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
local SCAN = 64         -- runs looked at in vain before giving up
local WAKE = 32         -- parked runs looked at again: fewer, or they would hide the others for ever
local CLOCK_SKEW_MS = 60000  -- a worker whose clock is behind by less still sees its job at once
local CATCH_UP_MS = 100  -- a start that a slow loop missed by so much is made up for

-- What live workers can still hold, less what is admitted and unclaimed. A worker that drains or
-- died still has calls, and they take nothing from the others.
local function free_slots()
  local unclaimed = redis.call('ZCARD', leases_key()) - (redis.call('HGET', busy_key(), '*') or 0)
  local sum = lookahead - unclaimed
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', workers_key(), now, '+inf')) do
    local slots = redis.call('HGET', slots_key(), worker) or 0
    sum = sum + math.max(0, slots - (redis.call('HGET', busy_key(), worker) or 0))
  end
  return sum, unclaimed
end

local function admit(run, index, limits)
  local endpoint, rate, call = limits[1], limits[3], call_key(run, index)
  local attempt = redis.call('HINCRBY', call, 'attempt', 1)
  local id = run .. ':' .. index .. ':' .. attempt
  redis.call('HSET', call, 'state', 'admitted', 'endpoint', endpoint, 'worker', '', 'token', '')
  keep('call', call)
  redis.call('SADD', held_key(run), index)
  keep('held', held_key(run))
  redis.call('SADD', endpoint_key(endpoint), run .. ':' .. index)
  keep('endpoint', endpoint_key(endpoint))
  if rate > 0 then
    local due = math.max(tonumber(redis.call('GET', pace_key(endpoint)) or 0), now - CATCH_UP_MS)
    redis.call('SET', pace_key(endpoint), text(due + 1000 / rate), 'EX', LIFE_S.pace)
  end
  redis.call('ZADD', leases_key(), now + claim_ms, id)
  local payload = cmsgpack.pack({run, tonumber(index), attempt, now})
  redis.call('SET', job_key(id), payload, 'EX', LIFE_S.job)
  redis.call('ZADD', queue_key(), now - CLOCK_SKEW_MS, id)
  return id
end

-- One call of the run, or nil: then the run is parked until something may have changed.
local function advance(run, pass)
  local state, concurrency, per_lane, weight =
    unpack(redis.call('HMGET', run_key(run), 'state', 'concurrency', 'per_lane', 'weight'))
  redis.call('ZREM', active_key(), run)
  if state ~= 'running' then return nil end
  local index, limits
  if redis.call('SCARD', held_key(run)) < tonumber(concurrency) then
    index, limits = pick(run, tonumber(per_lane), now)
  end
  if not index then
    redis.call('ZADD', parked_key(), now + park_ms, run)
    return nil
  end
  redis.call('SET', vtime_key(), text(pass))
  redis.call('HSET', run_key(run), 'pass', text(pass + 1000000 / tonumber(weight)))
  redis.call('HINCRBY', run_key(run), 'left', -1)
  local id = admit(run, index, limits)
  activate(run)
  return id
end

for _, run in ipairs(redis.call('ZRANGEBYSCORE', parked_key(), '-inf', now, 'LIMIT', 0, WAKE)) do
  activate(run)
end
local free, unclaimed = free_slots()
local ids, vain, kept = {}, 0, {}
while free > 0 and #ids < batch and vain < SCAN do
  local run, pass = unpack(redis.call('ZRANGE', active_key(), 0, 0, 'WITHSCORES'))
  if not run then break end
  local id = advance(run, tonumber(pass))
  if id then
    ids[#ids + 1], free = id, free - 1
    if not kept[run] then keep_run(run) end
    kept[run] = true
  else
    vain = vain + 1
  end
end
return {free, unclaimed + #ids, unpack(ids)}
