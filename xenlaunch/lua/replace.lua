-- Back into the line, for another host.
-- fence, step to go on with, host to avoid, reason -> 'ok' | 'lost' | 'cancel'
local r = get('lease', 'avoid', 'last_fence', 'state')
if r[3] == ARGV[3] then return 'ok' end
if r[1] ~= ARGV[3] or r[4] ~= 'running' then return 'lost' end
if redis.call('HEXISTS', key, 'cancel') == 1 then return 'cancel' end
local t = now()
count_step(t)
free_idle_slots()
release()
ready('SREM')
move('waiting', t)
local avoid = cjson.decode(r[2] or '{}')
avoid[ARGV[5]] = ARGV[6]
set('step', ARGV[4], 'avoid', cjson.encode(avoid), 'last_fence', ARGV[3])
redis.call('HDEL', key, 'host')
line_up()
tell('retry', ARGV[6])
return 'ok'
