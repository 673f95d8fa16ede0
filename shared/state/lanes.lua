-- The lanes of a run: which may go, and its next call. Sent before admit.lua, after places.lua.
-- Per lane the hash holds its limits as msgpack [endpoint, max concurrent, calls per second]
-- (0: no limit) and its cursor; exhausted lanes leave the run's list until a retry brings them back.

local LANES_SCANNED = 64  -- in vain, before the run is parked; the next look goes on from there

local function lane_blocked(limits, now)
  local endpoint, cap, rate = unpack(limits)
  if cap > 0 and redis.call('SCARD', endpoint_key(endpoint)) >= cap then return true end
  return rate > 0 and tonumber(redis.call('GET', pace_key(endpoint)) or 0) > now
end

-- The lane's next index, retries first; nil when the lane is exhausted.
local function next_index(run, lane, per_lane)
  local again = redis.call('LPOP', retries_key(run, lane))
  if again then return again end
  local cursor = tonumber(redis.call('HGET', lanes_key(run), lane .. ':cursor'))
  if cursor >= per_lane then return nil end
  redis.call('HINCRBY', lanes_key(run), lane .. ':cursor', 1)
  return text(lane * per_lane + cursor)
end

-- An index of the next lane that may go, with the lane's limits; nil when none may.
local function pick(run, per_lane, now)
  for _ = 1, math.min(redis.call('LLEN', open_key(run)), LANES_SCANNED) do
    local lane = redis.call('LMOVE', open_key(run), open_key(run), 'LEFT', 'RIGHT')
    local limits = cmsgpack.unpack(redis.call('HGET', lanes_key(run), lane))
    if not lane_blocked(limits, now) then
      local index = next_index(run, lane, per_lane)
      if index then return index, limits end
      redis.call('LREM', open_key(run), 0, lane)
    end
  end
end
