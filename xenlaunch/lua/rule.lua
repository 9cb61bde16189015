-- Here `id` is a batch. What is to become of all of it: 'stop' (nothing more begins), 'undo' or, on
-- its owner's word, 'cancel', 'destroy', 'again'; why; where its policy says so the number of the
-- ruling that it goes by (else '')
-- -> {'ok', its number} | {'stale'} (there is a later ruling) | {'lives'} (it is undone just now) | {'gone'}
-- What is on its way to its end cannot begin again: it is waited for, so that no launch is left out.
local b = P .. 'batch:' .. id
local r = redis.call('HMGET', b, 'id', 'ruling', 'ruling_no', 'succeeded', 'carried')
local function goes_on()
  local c = redis.call('HMGET', b, 'waiting', 'running', 'undoing', 'count', 'written')
  local known = r[5] and c[5] or redis.call('ZCARD', b .. ':launches')
  local unknown = math.max(0, c[4] - known)
  return (c[1] or 0) - unknown + (c[2] or 0) + (c[3] or 0) > 0
end
local function is_undone()
  if r[2] == 'undo' then return goes_on() or tonumber(r[4] or 0) > 0 end
  if r[2] == 'destroy' then return goes_on() or not r[5] end
  return r[2] == 'cancel' and goes_on()
end
if not r[1] then return { 'gone' } end
if ARGV[5] ~= '' and ARGV[5] ~= (r[3] or '0') then return { 'stale' } end
if ARGV[3] == 'again' and is_undone() then return { 'lives' } end
redis.call('HSET', b, 'ruling', ARGV[3], 'reason', ARGV[4])
redis.call('HDEL', b, 'carried')
local number = redis.call('HINCRBY', b, 'ruling_no', 1)
batch_news(id)
return { 'ok', string.format('%d', number) }
