-- token, digest, request, name, batch, priority, owner, place in the batch (JSON), what is told to
-- the guest (JSON), which goes when the launch ends, in how many ms it must have begun or 0
-- -> 'new' | 'same' | 'reused'
local known = redis.call('HGET', key, 'digest')
if known then return known == ARGV[4] and 'same' or 'reused' end
local t = now()
set('id', id, 'token', ARGV[3], 'digest', ARGV[4], 'request', ARGV[5], 'name', ARGV[6],
  'batch', ARGV[7], 'priority', ARGV[8], 'owner', ARGV[9], 'submitted', t,
  'state', 'waiting', 'step', 'connect')
if ARGV[10] ~= '' then set('place', ARGV[10]) end
if ARGV[11] ~= '' then set('setup', ARGV[11]) end
if ARGV[12] ~= '0' then set('start_within', ARGV[12], 'start_by', t + ARGV[12]) end
redis.call('ZADD', P .. 'state:waiting', t, id)
look_at(t)
if ARGV[7] ~= '' and is_kept(ARGV[7]) then
  redis.call('HINCRBY', P .. 'batch:' .. ARGV[7], 'written', 1)
  if redis.call('HDEL', P .. 'batch:' .. ARGV[7], 'carried') == 1 then batch_news(ARGV[7]) end
end
tell('state')
return 'new'
