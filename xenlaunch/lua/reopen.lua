-- A launch that has ended is undone after all, on its owner's word: for good, or to begin again.
-- 'destroyed' or 'waiting', how long a batch is kept
-- -> 'undoing' | 'waiting' | 'done' (it is so) | 'lives' | 'nothing' (to be done) | 'gone'
-- | 'untold' (what its guest was to be told went with its end)
local r = get('state', 'outcome', 'leftovers', 'batch', 'pool', 'failed_at', 'step', 'adopted')
local state, wanted, t = r[1], ARGV[3], now()
if not state then return 'gone' end
if state == 'undoing' and r[2] == wanted then return 'undoing' end
if not ENDED[state] then return 'lives' end
local left = (r[3] or '[]') ~= '[]'
local again = wanted == 'waiting'
if not again and not left and state ~= 'succeeded' then
  return state == 'destroyed' and 'done' or 'nothing'
end
-- Of what was read back from a pool nobody knows the request any more.
if again and (r[8] or (state ~= 'failed' and state ~= 'cancelled')) then return 'nothing' end
if again and redis.call('HEXISTS', key, 'untold') == 1 then return 'untold' end
for _, part in ipairs({ '', ':calls', ':notes', ':made', ':history' }) do
  redis.call('PERSIST', key .. part)
end
if r[4] and r[4] ~= '' then
  for _, part in ipairs({ '', ':launches' }) do
    redis.call('PEXPIRE', P .. 'batch:' .. r[4] .. part, ARGV[4])
  end
end
if r[5] then redis.call('ZREM', P .. 'leftovers:' .. r[5], id) end
redis.call('HDEL', key, 'ended', 'leftovers', 'cancel', 'retries', 'resent')
if again then  -- whoever waits for its end waits for the next one
  for _, step in ipairs({ 'poll', r[6] or 'poll' }) do
    redis.call('DEL', P .. 'celery-task-meta-' .. id .. '.' .. step)
  end
  if redis.call('EXISTS', key .. ':calls') == 0 then
    begin_again('connect', t)
    return 'waiting'
  end
end
move('undoing', t)
set('failed_at', r[6] or r[7], 'step', 'undo', 'outcome', wanted)
wish(t)
tell('state')
return 'undoing'
