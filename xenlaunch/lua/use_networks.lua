-- The networks of the deployment's that a launch is to be on stay until it has ended.
-- fence, their bridges (a JSON list) -> 'ok' | 'lost' | 'pruning <bridge>'
local r = get('lease', 'pool')
if r[1] ~= ARGV[3] then return 'lost' end
for _, bridge in ipairs(cjson.decode(ARGV[4])) do
  if redis.call('EXISTS', P .. 'pruning:' .. r[2] .. ':' .. bridge) == 1 then
    return 'pruning ' .. bridge
  end
end
redis.call('HSET', P .. 'networks:' .. r[2], id, ARGV[4])
return 'ok'
