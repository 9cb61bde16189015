-- Who looks for disks without a mark says for which, and hears what all look for.
-- fence, what ('' where the hunt is over) -> 'ok' | 'lost', what each looks for ...
local r = get('lease', 'pool')
if r[1] ~= ARGV[3] then return { 'lost' } end
local hunts = P .. 'hunting:' .. r[2]
if ARGV[4] == '' then redis.call('HDEL', hunts, id) else redis.call('HSET', hunts, id, ARGV[4]) end
local answer = redis.call('HVALS', hunts)
table.insert(answer, 1, 'ok')
return answer
