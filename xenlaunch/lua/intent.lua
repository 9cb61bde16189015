-- fence, login, lease, call key, call -> 'ok' | 'lost' | 'cancel'
local r = get('lease', 'cancel', 'state')
if r[1] ~= ARGV[3] then return 'lost' end
if r[2] and r[3] == 'running' then return 'cancel' end
local t = now()
set('login', ARGV[4], 'lease_until', t + ARGV[5])
look_at(t + ARGV[5])
redis.call('HSET', key .. ':calls', ARGV[6], ARGV[7])
return 'ok'
