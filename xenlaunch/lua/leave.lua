-- Here `id` is the role's name. holder
local role = P .. 'role:' .. id
if redis.call('GET', role) == ARGV[3] then redis.call('DEL', role) end
return 1
