-- error -> 'gone' | 'ended' | 'late' | 'undoing' | 'asked' | 'done'
local r = get('state', 'lease', 'lease_until')
local state, t = r[1], now()
if not state then return 'gone' end
if ENDED[state] then return state == 'cancelled' and 'done' or 'ended' end
if state == 'finishing' then return 'late' end
if state == 'undoing' then
  if redis.call('HGET', key, 'outcome') == 'waiting' then
    set('outcome', 'cancelled', 'error', ARGV[3])
  end
  return 'undoing'
end
set('cancel', ARGV[3])
if state == 'waiting' and untouched() then
  set('outcome', 'cancelled', 'error', ARGV[3])
  finish_launch('cancelled', t)
  return 'done'
end
if r[2] and tonumber(r[3]) > t then return 'asked' end
begin_undo('cancelled', ARGV[3], t)
return 'undoing'
