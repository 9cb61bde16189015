-- Here `id` is the role's name. holder, lease (ms) -> 1 | 0
local role = P .. 'role:' .. id
local holder = redis.call('GET', role)
if holder and holder ~= ARGV[3] then return 0 end
redis.call('SET', role, ARGV[3], 'PX', ARGV[4])
return 1
