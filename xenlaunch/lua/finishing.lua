-- From here a launch cannot be cancelled. fence -> 'ok' | 'lost' | 'cancel'
local r = get('lease', 'cancel', 'state')
if r[1] ~= ARGV[3] then return 'lost' end
if r[3] == 'finishing' then return 'ok' end
if r[2] then return 'cancel' end
move('finishing', now())
return 'ok'
