-- Here `id` is a pool, which bears the epoch that was wished. epoch -> 1 | 0
local d = P .. 'deployment'
if redis.call('HGET', d, 'wish:' .. id) ~= ARGV[3] then return 0 end
redis.call('HSET', d, 'epoch:' .. id, ARGV[3])
redis.call('HDEL', d, 'wish:' .. id)
return 1
