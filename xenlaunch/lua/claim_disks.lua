-- Disks that the launch writes to, and that nobody else may have until it has ended.
-- fence, disks ... -> 'ok' | 'lost' | 'taken <disk>'
local r = get('lease', 'pool')
if r[1] ~= ARGV[3] then return 'lost' end
local taken = claim(r[2], 4)
return taken and 'taken ' .. taken or 'ok'
