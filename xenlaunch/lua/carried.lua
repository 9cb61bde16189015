-- Here `id` is a batch: its ruling has been carried out on each of its launches. number -> 1 | 0
local b = P .. 'batch:' .. id
if not ruled(id, ARGV[3]) then return 0 end
redis.call('HSET', b, 'carried', 1)
if redis.call('HGET', b, 'ruling') == 'again' then redis.call('HDEL', b, 'ruling', 'reason') end
return 1
