-- step, fence, worker, lease -> verdict, record, calls, notes, made, what is known of the deployment
-- How often a lease had to run out for it is counted: a step that was given back is not taken over.
-- Who is the last but few of those that were ready lets those come whom `admit` has kept in the line.
-- A call that a former owner left open names its login: the new owner ends that before it looks.
local FEW = 4
local r = get('state', 'step', 'parked', 'lease', 'lease_until', 'cancel', 'pool')
local state, t = r[1], now()
if not state then return { 'gone' } end
local right = ARGV[3] == 'undo' and state == 'undoing'
  or ARGV[3] ~= 'undo' and (state == 'running' or state == 'finishing')
if not right or r[2] ~= ARGV[3] then return { 'stale' } end
if r[4] ~= ARGV[4] then
  if r[3] then return { 'parked' } end
  if r[4] and tonumber(r[5]) > t then return { 'taken' } end
  if r[6] and state == 'running' then
    begin_undo('cancelled', r[6], t)
    return { 'cancel' }
  end
  if r[4] then redis.call('HINCRBY', key, 'taken_over', 1) end
  redis.call('HSETNX', key, 'step_since', t)
  redis.call('HDEL', key, 'resent')
  ready('SREM')
  if redis.call('SCARD', P .. 'ready:' .. r[7]) <= FEW and redis.call('DEL', P .. 'crowded:' .. r[7]) == 1 then
    nudge(r[7])
  end
  set('lease', ARGV[4], 'worker', ARGV[5], 'lease_until', t + ARGV[6])
  look_at(t + ARGV[6])
  tell('step')
end
return { 'ok', redis.call('HGETALL', key), redis.call('HGETALL', key .. ':calls'),
  redis.call('HGETALL', key .. ':notes'), redis.call('SMEMBERS', key .. ':made'),
  redis.call('HGETALL', P .. 'deployment') }
