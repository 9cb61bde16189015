-- step, fence, login, worker, lease -> verdict, login that was taken over, record, calls, notes, made
local r = get('state', 'step', 'parked', 'lease', 'lease_until', 'login', 'cancel')
local state, t = r[1], now()
if not state then return { 'gone' } end
local right = ARGV[3] == 'undo' and state == 'undoing'
  or ARGV[3] ~= 'undo' and (state == 'running' or state == 'finishing')
if not right or r[2] ~= ARGV[3] then return { 'stale' } end
local taken_over = ''
if r[4] ~= ARGV[4] then
  if r[3] then return { 'parked' } end
  if r[4] and tonumber(r[5]) > t then return { 'taken' } end
  if r[7] and state == 'running' then
    begin_undo('cancelled', r[7], t)
    return { 'cancel' }
  end
  if r[4] then taken_over = r[6] end
  redis.call('HSETNX', key, 'step_since', t)
  redis.call('HDEL', key, 'resent')
  set('lease', ARGV[4], 'login', ARGV[5], 'worker', ARGV[6], 'lease_until', t + ARGV[7])
  look_at(t + ARGV[7])
  tell('step')
end
return { 'ok', taken_over, redis.call('HGETALL', key), redis.call('HGETALL', key .. ':calls'),
  redis.call('HGETALL', key .. ':notes'), redis.call('SMEMBERS', key .. ':made') }
