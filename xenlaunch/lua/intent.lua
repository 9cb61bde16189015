-- fence, lease, call key, call -> 'ok' | 'lost' | 'cancel'
local r = get('lease', 'cancel', 'state')
if r[1] ~= ARGV[3] then return 'lost' end
if r[2] and r[3] == 'running' then return 'cancel' end
local t = now()
set('lease_until', t + ARGV[4])
look_at(t + ARGV[4])
local by = ARGV[5] == 'clone' and redis.call('HGET', key, 'start_by')
if by then  -- it has begun, unless the clone is refused (`outcome`)
  redis.call('HDEL', key, 'start_by')
  set('begins_by', by)
end
redis.call('HSET', key .. ':calls', ARGV[5], ARGV[6])
return 'ok'
