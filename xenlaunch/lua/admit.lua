-- Whoever gives room has reckoned with all reservations there were, of which the version tells: of
-- two who do so at once, one is told that it has to look again.
-- While so many are ready whom no worker has taken up, nobody is sent after them: whoever is woken to
-- go on would wait behind all of these. `claim` has the line looked at again when they are fewer.
-- host, reservation, most in flight, resend, version, the next one, most that are ready
-- -> the step to begin | 'full' | 'stale' | 'moved'
local r = get('state', 'pool', 'step')
if r[1] ~= 'waiting' or not r[2] then return 'stale' end
if not redis.call('ZSCORE', P .. 'waiting:' .. r[2], id) then return 'stale' end
local version = P .. 'reserved:' .. r[2]
if (redis.call('GET', version) or '') ~= ARGV[7] then return 'moved' end
local held = P .. 'inflight:' .. r[2]
if redis.call('HLEN', held) >= tonumber(ARGV[5]) then return 'full' end
if redis.call('SCARD', P .. 'ready:' .. r[2]) >= tonumber(ARGV[9]) then
  redis.call('SET', P .. 'crowded:' .. r[2], 1, 'PX', 60000)
  return 'full'
end
local t = now()
move('running', t)
redis.call('HSET', held, id, ARGV[4])
redis.call('SET', version, ARGV[8])
set('host', ARGV[3])
redis.call('HDEL', key, 'reason')  -- what it had waited for
redis.call('HSETNX', key, 'begun', t)
wish(t + ARGV[6])
tell('state')
return r[3]
