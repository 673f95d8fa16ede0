-- A worker says that it lives and how many calls it may hold; the dead are forgotten.
-- KEYS  none (names from keys.py)
-- ARGV  worker, slots, life_ms
-- returns nothing

local now = now_ms()
redis.call('ZADD', workers_key(), now + tonumber(ARGV[3]), ARGV[1])
redis.call('HSET', slots_key(), ARGV[1], ARGV[2])
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', workers_key(), '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', workers_key(), dead)
  redis.call('HDEL', slots_key(), dead)
end
