-- A launch that has ended is undone after all, for good or to begin again: on its owner's word, or
-- because its batch is. 'destroyed' or 'waiting', how long a batch is kept, of a batch's ruling its
-- number (else ''), where all of the batch is undone the error that says so (else '')
-- -> 'undoing' | 'waiting' | 'done' (it is so) | 'lives' | 'nothing' (to be done) | 'gone'
-- | 'ending' (it is on its way to its end, and can begin again only then)
-- | 'untold' (what its guest was to be told went with its end) | 'stale' (there is a later ruling)
local r = get('state', 'outcome', 'leftovers', 'batch', 'pool', 'failed_at', 'step', 'adopted',
  'lost', 'ruled')
local state, wanted, t = r[1], ARGV[3], now()
local ruling, undone = ARGV[5] or '', ARGV[6] or ''
if not state then return 'gone' end
if ruling ~= '' and not ruled(r[4], ruling) then return 'stale' end
if state == 'undoing' and r[2] == wanted then return 'undoing' end
local again = wanted == 'waiting'
if not ENDED[state] then
  local ending = state == 'undoing' or redis.call('HEXISTS', key, 'cancel') == 1
  return again and ruling ~= '' and ending and 'ending' or 'lives'
end
local left = (r[3] or '[]') ~= '[]'
if not again and state ~= 'succeeded' and (not left or undone ~= '') then
  return state == 'destroyed' and 'done' or 'nothing'
end
-- Of what was read back from a pool nobody knows the request any more. What was destroyed begins
-- again only where it was undone with its batch.
if again and (r[8] or state == 'succeeded' or (state == 'destroyed' and not r[9])) then
  return 'nothing'
end
if again and ruling ~= '' and r[10] == ruling then return 'done' end
if again and redis.call('HEXISTS', key, 'untold') == 1 then return 'untold' end
for _, part in ipairs({ '', ':calls', ':notes', ':made', ':history' }) do
  redis.call('PERSIST', key .. part)
end
if r[4] and r[4] ~= '' then
  keep_batch(r[4], ARGV[4])
  if again then found_again(r[4]) elseif undone ~= '' then lost(r[4]) end
  if again and ruling == '' then overrule(r[4]) end
  if again and ruling ~= '' then set('ruled', ruling) end
end
if r[5] then redis.call('ZREM', P .. 'leftovers:' .. r[5], id) end
redis.call('HDEL', key, 'ended', 'leftovers', 'cancel', 'retries', 'in_a_row', 'resent', 'avoid')
if undone ~= '' then set('error', undone) end
if again then  -- whoever waits for its end waits for the next one
  redis.call('HDEL', key, 'result')
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
