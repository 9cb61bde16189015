-- pool, its owner's weight, mac ... -> 'ok' | 'stale' | the first MAC that another launch has claimed
local r = get('state', 'pool')
if r[1] ~= 'waiting' or r[2] then return 'stale' end
local taken = claim(ARGV[3], 5)
if taken then return taken end
set('pool', ARGV[3])
redis.call('HDEL', key, 'reason')  -- it had waited for a pool
line_up(ARGV[4])
return 'ok'
