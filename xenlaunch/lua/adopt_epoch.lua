-- Here `id` is a pool. The epoch of a pool that is adopted is later than all before.
-- the epoch that it bears -> the epoch that it is to bear
local d = P .. 'deployment'
local r = redis.call('HMGET', d, 'epoch:' .. id, 'wish:' .. id)
local most = math.max(tonumber(ARGV[3]) or 0, tonumber(r[1] or 0), tonumber(r[2] or 0))
local wish = string.format('%d', most + 1)
redis.call('HSET', d, 'wish:' .. id, wish, 'wished:' .. id, now())
return wish
