-- Here `id` is the pool's name. the breaker's field, why -> 1 | 0
local record = cjson.encode({ since = now(), why = ARGV[4] })
if redis.call('HSETNX', P .. 'deployment', ARGV[3], record) == 0 then return 0 end
nudge('probe:' .. id)
return 1
