-- How something that is waited for has ended. ref, note, resend -> the step to begin | ''
if redis.call('EXISTS', key) == 0 then return '' end
redis.call('HSET', key .. ':notes', ARGV[3], ARGV[4])
local r = get('parked', 'step', 'ended')
if r[3] then
  local ttl = redis.call('PTTL', key)
  if ttl > 0 then redis.call('PEXPIRE', key .. ':notes', ttl) end
end
if not r[1] or cjson.decode(r[1]).ref ~= ARGV[3] then return '' end
unpark()
look_at(now() + ARGV[5])
return r[2]
