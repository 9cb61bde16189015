-- Nobody may take a network while it is pruned, and none is pruned that a live launch is to be on.
-- (pool in the launch's place) bridge, for how long (ms) -> 'ok' | the launch that is to be on it
local used = redis.call('HGETALL', P .. 'networks:' .. id)
for i = 1, #used, 2 do
  for _, bridge in ipairs(cjson.decode(used[i + 1])) do
    if bridge == ARGV[3] then return used[i] end
  end
end
redis.call('SET', P .. 'pruning:' .. id .. ':' .. ARGV[3], 1, 'PX', ARGV[4])
return 'ok'
