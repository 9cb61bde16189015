-- Here `id` is a pool. Once in so many ms, if anything has happened since; a wish that stands is
-- carried on. every (ms), the epoch as the caller knows it -> the epoch that the pool is to bear | ''
local d = P .. 'deployment'
local r = redis.call('HMGET', d, 'wish:' .. id, 'epoch:' .. id, 'wished:' .. id, 'news:' .. id)
if (r[2] or '') ~= ARGV[4] then return '' end
if r[1] then return r[1] end
if redis.call('HEXISTS', d, 'generation') == 0 then return '' end
local last = redis.call('XREVRANGE', P .. 'events', '+', '-', 'COUNT', 1)
if not last[1] or last[1][1] == r[4] then return '' end
local t = now()
if r[3] and t < r[3] + ARGV[3] then return '' end
local wish = string.format('%d', (r[2] or 0) + 1)
redis.call('HSET', d, 'wish:' .. id, wish, 'wished:' .. id, t, 'news:' .. id, last[1][1])
return wish
