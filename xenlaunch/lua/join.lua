-- pool, its owner's weight, mac ... -> 'ok' | 'stale' | the first MAC that another launch has claimed
local r = get('state', 'pool')
if r[1] ~= 'waiting' or r[2] then return 'stale' end
local claims = P .. 'macs:' .. ARGV[3]
for i = 5, #ARGV do
  local owner = redis.call('HGET', claims, ARGV[i])
  if owner and owner ~= id then return ARGV[i] end
end
local macs = {}
for i = 5, #ARGV do
  redis.call('HSET', claims, ARGV[i], id)
  macs[#macs + 1] = ARGV[i]
end
set('pool', ARGV[3], 'macs', table.concat(macs, ' '))
redis.call('HDEL', key, 'reason')  -- it had waited for a pool
line_up(ARGV[4])
return 'ok'
