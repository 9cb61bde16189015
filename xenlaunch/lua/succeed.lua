-- fence, what was learnt, result -> 'ok' | 'lost'
local r = get('lease', 'last_fence')
if r[2] == ARGV[3] then return 'ok' end
if r[1] ~= ARGV[3] then return 'lost' end
set('learnt', ARGV[4], 'result', ARGV[5], 'last_fence', ARGV[3])
finish_launch('succeeded', now())
return 'ok'
