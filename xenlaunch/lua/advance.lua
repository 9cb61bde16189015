-- A step's end and the wish for the next. fence, next step, what was learnt, resend -> 'ok' | 'lost'
local r = get('lease', 'last_fence')
if r[2] == ARGV[3] then return 'ok' end
if r[1] ~= ARGV[3] then return 'lost' end
local t = now()
count_step(t)
release()
set('step', ARGV[4], 'learnt', ARGV[5], 'last_fence', ARGV[3])
redis.call('HDEL', key, 'retries', 'in_a_row')
wish(t + ARGV[6])
return 'ok'
