-- host, reservation, most in flight, resend -> the step to begin | 'full' | 'stale'
local r = get('state', 'pool', 'step')
if r[1] ~= 'waiting' or not r[2] then return 'stale' end
if not redis.call('ZSCORE', P .. 'waiting:' .. r[2], id) then return 'stale' end
local held = P .. 'inflight:' .. r[2]
if redis.call('HLEN', held) >= tonumber(ARGV[5]) then return 'full' end
local t = now()
move('running', t)
redis.call('HSET', held, id, ARGV[4])
set('host', ARGV[3])
redis.call('HSETNX', key, 'begun', t)
wish(t + ARGV[6])
tell('state')
return r[3]
