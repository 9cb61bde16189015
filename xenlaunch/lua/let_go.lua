-- A process that ends gives back what it holds. ARGV[2] is empty, then id, fence, id, fence ... -> how many
local given, t = 0, now()
for i = 3, #ARGV, 2 do
  id, key = ARGV[i], P .. 'launch:' .. ARGV[i]
  if redis.call('HGET', key, 'lease') == ARGV[i + 1] then
    release()
    wish(t)
    given = given + 1
  end
end
return given
