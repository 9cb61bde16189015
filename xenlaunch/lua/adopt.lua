-- A launch that has ended, as its VM in the pool tells. state, its VM's uuid, pool, what is known of
-- it (JSON), batch, index, batch (JSON), how long a batch is kept
-- -> 'new' | 'won' (it seemed to live) | 'known' | 'differs' (it ended otherwise) | 'lives'
local r = get('state', 'learnt', 'outcome')
local state, t = r[1], now()
local anew = state == 'undoing' and r[3] == 'waiting'  -- as an older Redis has it: it has begun again
if state and ENDED[state] then
  local vm = cjson.decode(r[2] or '{}').vm_uuid
  return state == ARGV[3] and (vm == ARGV[4] or state ~= 'succeeded') and 'known' or 'differs'
end
if state and (ARGV[3] ~= 'succeeded' or state == 'finishing' or (state == 'undoing' and not anew)) then
  return 'lives'
end
local function put(names)
  for _, name in ipairs(names) do
    local value = cjson.decode(ARGV[6])[name]
    if value then set(name, value) end
  end
end
if state then
  if anew then
    redis.call('HDEL', key, 'outcome', 'error')
    move('waiting', t)
  end
  if anew or state == 'waiting' then move('running', t) end
  move('finishing', t)
  put({ 'learnt', 'result', 'host' })
  finish_launch('succeeded', t)
  set('pool', ARGV[5])
  return 'won'
end
put({ 'digest', 'request', 'name', 'place', 'submitted', 'ended', 'learnt', 'result', 'host',
  'error', 'leftovers' })
set('id', id, 'token', '', 'priority', 5, 'owner', '', 'pool', ARGV[5], 'batch', ARGV[7],
  'state', ARGV[3], 'outcome', ARGV[3], 'step', 'poll', 'adopted', t)
redis.call('ZADD', P .. 'state:' .. ARGV[3], t, id)
if ARGV[7] ~= '' then
  local batch = P .. 'batch:' .. ARGV[7]
  if redis.call('EXISTS', batch) == 0 then
    local b = cjson.decode(ARGV[9])
    redis.call('HSET', batch, 'id', ARGV[7], 'digest', b.digest, 'count', b.count, 'name',
      b.name, 'submitted', b.submitted, 'waiting', b.count)
    redis.call('ZADD', P .. 'batches', t, ARGV[7])
  end
  redis.call('ZADD', batch .. ':launches', ARGV[8], id)
  redis.call('HINCRBY', batch, 'written', 1)
  redis.call('HINCRBY', batch, 'waiting', -1)
  redis.call('HINCRBY', batch, ARGV[3], 1)
  if ARGV[3] == 'failed' then
    lost(ARGV[7])
    redis.call('ZADD', batch .. ':failed', t, id)
    redis.call('PEXPIRE', batch .. ':failed', ARGV[10])
  end
  redis.call('PEXPIRE', batch, ARGV[10])
  redis.call('PEXPIRE', batch .. ':launches', ARGV[10])
end
if ARGV[3] == 'failed' then
  redis.call('ZADD', P .. 'leftovers:' .. ARGV[5], t, id)
  redis.call('PEXPIRE', P .. 'leftovers:' .. ARGV[5], ARGV[10])
end
look_at(t)
tell('state')
return 'new'
