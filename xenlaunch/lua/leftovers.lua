-- What is still left of a launch that has ended. what was named, what is left -> 1 | 0
local r = get('leftovers', 'pool', 'ended')
if not r[3] or r[1] ~= ARGV[3] then return 0 end
set('leftovers', ARGV[4])
if ARGV[4] == '[]' then redis.call('ZREM', P .. 'leftovers:' .. r[2], id)
else redis.call('ZADD', P .. 'leftovers:' .. r[2], 'XX', now(), id) end
return 1
