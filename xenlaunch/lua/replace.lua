-- Back into the line, for another host.
-- fence, step to go on with, host to avoid, reason -> 'ok' | 'lost' | 'cancel'
local r = get('lease', 'avoid', 'pool', 'priority', 'submitted', 'last_fence', 'state')
if r[6] == ARGV[3] then return 'ok' end
if r[1] ~= ARGV[3] or r[7] ~= 'running' then return 'lost' end
if redis.call('HEXISTS', key, 'cancel') == 1 then return 'cancel' end
local t = now()
count_step(t)
release()
ready('SREM')
move('waiting', t)
local avoid = cjson.decode(r[2] or '{}')
avoid[ARGV[5]] = ARGV[6]
set('step', ARGV[4], 'avoid', cjson.encode(avoid), 'last_fence', ARGV[3])
redis.call('HDEL', key, 'host')
redis.call('ZADD', P .. 'waiting:' .. r[3], r[4] * 1e13 + r[5], id)
redis.call('ZREM', P .. 'due', id)
tell('retry', ARGV[6])
return 'ok'
