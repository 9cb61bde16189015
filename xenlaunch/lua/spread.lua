-- Which launch is to make a template's copy on an SR: one after the other, never two at once.
-- field (SR and template), the number that was seen to be over ('' where there was none)
-- -> the number of the launch that is to make it
local copies = P .. 'copies:' .. id
local known = redis.call('HGET', copies, ARGV[3]) or ''
if known ~= ARGV[4] then return known end
local following = tostring((tonumber(known) or 0) + 1)
redis.call('HSET', copies, ARGV[3], following)
return following
