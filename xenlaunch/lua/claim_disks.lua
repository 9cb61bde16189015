-- What one launch alone may have until it has ended: the disks that it writes to. They are claimed as
-- MACs are (`join`). fence, disks ... -> 'ok' | 'lost' | 'taken <disk>'
local r = get('lease', 'pool', 'macs')
if r[1] ~= ARGV[3] then return 'lost' end
local claims, mine = P .. 'macs:' .. r[2], r[3] or ''
for i = 4, #ARGV do
  local owner = redis.call('HGET', claims, ARGV[i])
  if owner and owner ~= id then return 'taken ' .. ARGV[i] end
end
for i = 4, #ARGV do
  if redis.call('HSETNX', claims, ARGV[i], id) == 1 then mine = mine .. ' ' .. ARGV[i] end
end
set('macs', mine)
return 'ok'
