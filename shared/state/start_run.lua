-- Start a run, once: a run that exists is left as it is.
-- KEYS  none (names from keys.py)
-- ARGV  run, plan text, lanes as msgpack [[endpoint, max concurrent, calls per second], ...] with 0
--       for no limit, calls per lane, weight, runs kept, then field and value pairs of the run
-- returns 1 when the run is new, 0 when it was there

local run, plan, lanes = ARGV[1], ARGV[2], cmsgpack.unpack(ARGV[3])
local per_lane, weight, runs_kept = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
if redis.call('EXISTS', run_key(run)) == 1 then return 0 end

local now, planned = now_ms(), text(per_lane * #lanes)
redis.call('HSET', run_key(run), 'state', 'running', 'planned', planned, 'left', planned,
  'done', 0, 'running', 0, 'per_lane', text(per_lane), 'weight', weight, 'pass', 0,
  'submitted_ms', text(now), unpack(ARGV, 7))
redis.call('SET', plan_key(run), plan)
redis.call('DEL', lanes_key(run), open_key(run), held_key(run))
for lane, limits in ipairs(lanes) do
  redis.call('HSET', lanes_key(run), lane - 1, cmsgpack.pack(limits), (lane - 1) .. ':cursor', 0)
  redis.call('RPUSH', open_key(run), lane - 1)
end
keep_run(run)
redis.call('ZADD', runs_key(), now, run)
redis.call('ZREMRANGEBYRANK', runs_key(), 0, -runs_kept - 1)
activate(run)
return 1
