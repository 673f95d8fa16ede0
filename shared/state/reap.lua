-- Take back the calls whose lease ran out.
-- KEYS  none (names from keys.py)
-- ARGV  lease_ms (of the reaper on a call that it ends itself), batch
-- returns {withdrawn, sent again, dropped, then run, index, new attempt, earlier attempts of each
--          call whose retries are used up: fenced off, held by `reaper`, to be committed by it}

local now, lease_ms, batch = now_ms(), tonumber(ARGV[1]), tonumber(ARGV[2])
local withdrawn, again, dropped, ended = 0, 0, 0, {}

local function lost(run, index, attempt, tries, retries, earlier)
  local call = call_key(run, index)
  release(run, index, attempt)
  if tries < retries then
    redis.call('HSET', call, 'tries', tries + 1, 'earlier', earlier_with(earlier, 'worker_lost'))
    queue_again(run, index)
    again = again + 1
    return
  end
  -- It keeps its places until the scheduler has stored and committed its end.
  local fenced = redis.call('HINCRBY', call, 'attempt', 1)
  redis.call('HSET', call, 'state', 'running', 'worker', 'reaper', 'token', '')
  redis.call('SADD', held_key(run), index)
  keep('held', held_key(run))
  employ(run, 'reaper', 1)
  redis.call('ZADD', leases_key(), now + lease_ms, run .. ':' .. index .. ':' .. fenced)
  for _, value in ipairs({run, index, text(fenced), earlier or ''}) do ended[#ended + 1] = value end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases_key(), '-inf', now, 'LIMIT', 0, batch)) do
  local run, index, attempt = string.match(id, '^(.+):(%d+):(%d+)$')
  local current, state, tries, earlier = unpack(
    redis.call('HMGET', call_key(run, index), 'attempt', 'state', 'tries', 'earlier'))
  local run_state, retries = unpack(redis.call('HMGET', run_key(run), 'state', 'retries'))
  if current ~= attempt then
    redis.call('ZREM', leases_key(), id)
  elseif run_state ~= 'running' then
    drop(run, index, attempt)
    dropped = dropped + 1
  elseif state == 'running' then
    lost(run, index, attempt, tonumber(tries or 0), tonumber(retries), earlier)
  else
    release(run, index, attempt)
    queue_again(run, index)
    withdrawn = withdrawn + 1
  end
end
return {withdrawn, again, dropped, unpack(ended)}
