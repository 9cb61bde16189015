-- A launch that waits ends here, if nothing was made for it; else it is undone, to end so or to begin again.
-- outcome, error -> 'ended' | 'undo' | 'stale'
if redis.call('HGET', key, 'state') ~= 'waiting' then return 'stale' end
local t = now()
if not untouched() then
  begin_undo(ARGV[3], ARGV[4], t)
  return 'undo'
end
set('outcome', ARGV[3], 'error', ARGV[4])
finish_launch(ARGV[3], t)
return 'ended'
