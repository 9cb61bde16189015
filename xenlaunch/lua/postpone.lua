-- Whoever sends a launch's step again does it alone, and later each time. But while the pool's queue
-- has a message for each that is ready, nothing is lost, and more of them would only make it longer.
-- resend, most, what a pool's queue is called before the pool's name -> 1 | 0
local due = redis.call('ZSCORE', P .. 'due', id)
local t = now()
if not due or tonumber(due) > t then return 0 end
local r = get('state', 'pool', 'parked', 'start_by')
local late = r[4] and tonumber(r[4]) <= t  -- it is not its message that is looked for
local look = late and look_at or look_by
if not late and r[2] and not r[3] and (r[1] == 'running' or r[1] == 'finishing' or r[1] == 'undoing') then
  ready('SADD')
  local sent = redis.call('LLEN', P .. ARGV[5] .. r[2]) + redis.call('LLEN', P .. 'given:' .. r[2])
  if sent >= redis.call('SCARD', P .. 'ready:' .. r[2]) then
    look(t + ARGV[3])
    return 0
  end
end
local resent = redis.call('HINCRBY', key, 'resent', 1)
look(t + math.min(ARGV[3] * 2 ^ (resent - 1), ARGV[4]))
return 1
