-- The one move from parked to ready. ref ('' for any), resend -> the step to begin | ''
local r = get('parked', 'step')
if not r[1] then return '' end
if ARGV[3] ~= '' and cjson.decode(r[1]).ref ~= ARGV[3] then return '' end
unpark()
wish(now() + ARGV[4])
return r[2]
