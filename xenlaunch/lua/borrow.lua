-- A slot for the sweeper, which holds no lease. Here `id` is a pool. It is first in every line: it
-- has few calls to make, one at a time.
-- what ('' for none any more), how many at once -> 1 | 0 (it is its turn next)
local h, who = P .. 'slots:' .. id, '@sweep'
local held = redis.call('HGET', h, 'sweep')
if held and held ~= ARGV[3] then
  redis.call('ZREM', P .. 'slot:' .. id .. ':' .. held, who)
  redis.call('ZREM', P .. 'slotline:' .. id .. ':' .. held, who)
  redis.call('HDEL', h, 'sweep')
  give_slots(id, held)
end
if ARGV[3] == '' then return 1 end
local what = ARGV[3]
redis.call('HSET', h, 'sweep', what, 'most:' .. what, ARGV[4])
if redis.call('ZSCORE', P .. 'slot:' .. id .. ':' .. what, who) then return 1 end
redis.call('ZADD', P .. 'slotline:' .. id .. ':' .. what, 0, who)
give_slots(id, what)
return redis.call('ZSCORE', P .. 'slot:' .. id .. ':' .. what, who) and 1 or 0
