-- error, of a batch's ruling its number (else ''), '1' where what has begun is to go on
-- -> 'gone' | 'ended' | 'late' | 'undoing' | 'asked' | 'done' | 'stale' (there is a later ruling) | 'begun'
local function has_begun(state, step)
  if state == 'waiting' then return step ~= 'connect' end
  if state == 'running' then
    local clone = redis.call('HGET', key .. ':calls', 'clone')
    local sent = clone and cjson.decode(clone).state ~= 'failed'
    return sent or redis.call('EXISTS', key .. ':made') == 1
  end
  return state ~= 'undoing' or redis.call('HGET', key, 'outcome') ~= 'waiting'
end
local r = get('state', 'lease', 'lease_until', 'batch', 'step')
local state, t = r[1], now()
if not state then return 'gone' end
if (ARGV[4] or '') ~= '' and not ruled(r[4], ARGV[4]) then return 'stale' end
if ENDED[state] then return state == 'cancelled' and 'done' or 'ended' end
if ARGV[5] == '1' and has_begun(state, r[5]) then return 'begun' end
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
