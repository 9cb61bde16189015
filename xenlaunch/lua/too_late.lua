-- The moment is past at which a launch must have begun. error -> 'ended' | 'undo' | 'stale'
-- What nothing was made for ends here, whether or not its pool can be reached.
local r = get('state', 'start_by', 'lease', 'lease_until', 'cancel')
local t = now()
if r[1] ~= 'waiting' and r[1] ~= 'running' then return 'stale' end
if not r[2] or tonumber(r[2]) > t or r[5] then return 'stale' end
if r[3] and tonumber(r[4]) > t then return 'stale' end
if not untouched() then
  begin_undo('failed', ARGV[3], t)
  return 'undo'
end
if r[1] == 'running' then
  count_step(t)
  unpark()
  release()
  ready('SREM')
  move('waiting', t)
end
set('outcome', 'failed', 'error', ARGV[3])
finish_launch('failed', t)
return 'ended'
