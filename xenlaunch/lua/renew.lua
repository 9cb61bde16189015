-- Here there is no `id`: ARGV[2] is the lease (ms), then id, fence, id, fence ... -> the ids that are lost
local lost, t = {}, now()
for i = 3, #ARGV, 2 do
  local k = P .. 'launch:' .. ARGV[i]
  if redis.call('HGET', k, 'lease') == ARGV[i + 1] then
    redis.call('HSET', k, 'lease_until', t + ARGV[2])
    redis.call('ZADD', P .. 'due', t + ARGV[2], ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
