-- Here `id` is a pool. A Redis that was wiped meanwhile has claimed nothing. generation -> 1 | 0
local d = P .. 'deployment'
if redis.call('HGET', d, 'generation') ~= ARGV[3] then return 0 end
redis.call('HSET', d, 'claimed:' .. id, 1)
return 1
