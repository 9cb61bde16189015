-- fence, facts that were seen, leftovers -> 'ok' | 'lost' | 'again'
local r = get('lease', 'outcome', 'last_fence')
if r[3] == ARGV[3] then return 'ok' end
if r[1] ~= ARGV[3] then return 'lost' end
if redis.call('SCARD', key .. ':made') ~= tonumber(ARGV[4]) then return 'again' end
set('leftovers', ARGV[5], 'last_fence', ARGV[3])
finish_launch(r[2], now())
return 'ok'
