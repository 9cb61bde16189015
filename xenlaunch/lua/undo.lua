-- fence ('' where no worker holds it), outcome, error -> 'ok' | 'lost'
local r = get('lease', 'state', 'last_fence')
if r[2] == 'undoing' then return r[3] == ARGV[3] and 'ok' or 'lost' end
if (r[1] or '') ~= ARGV[3] then return 'lost' end
begin_undo(ARGV[4], ARGV[5], now())
set('last_fence', ARGV[3])
return 'ok'
