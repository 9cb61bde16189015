-- How something that is waited for has ended. ref, note, resend -> the step to begin | ''
if redis.call('EXISTS', key) == 0 then return '' end
redis.call('HSET', key .. ':notes', ARGV[3], ARGV[4])
expire_with_launch(':notes')
local of = redis.call('HGET', key, 'slots_of')
local call = of and redis.call('HGET', key .. ':calls', of)
if call and cjson.decode(call).task == ARGV[3] then
  local outcome = cjson.decode(ARGV[4])
  call_over(outcome[1] == 'success', outcome[3] or '')
end
local r = get('parked', 'step')
if not r[1] or cjson.decode(r[1]).ref ~= ARGV[3] then return '' end
unpark()
wish(now() + ARGV[5])
return r[2]
