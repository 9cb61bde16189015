-- host, reservation, most in flight, most cloning, resend -> the step to begin | 'full' | 'cloning' | 'stale'
local r = get('state', 'pool', 'step')
if r[1] ~= 'waiting' or not r[2] then return 'stale' end
if not redis.call('ZSCORE', P .. 'waiting:' .. r[2], id) then return 'stale' end
local slots = P .. 'inflight:' .. r[2]
if redis.call('HLEN', slots) >= tonumber(ARGV[5]) then return 'full' end
local cloning = P .. 'cloning:' .. r[2]
if r[3] == 'connect' or r[3] == 'clone' then
  if redis.call('SCARD', cloning) >= tonumber(ARGV[6]) then return 'cloning' end
  redis.call('SADD', cloning, id)
end
local t = now()
move('running', t)
redis.call('HSET', slots, id, ARGV[4])
set('host', ARGV[3])
redis.call('HSETNX', key, 'begun', t)
wish(t + ARGV[7])
tell('state')
return r[3]
