-- Here `id` is a batch. What is to become of all of it: 'stop' (nothing more begins), 'undo' or, on
-- its owner's word, 'cancel', 'destroy', 'again'; why; where its policy says so the number of the
-- ruling that it goes by (else '')
-- -> {'ok', its number} | {'stale'} (there is a later ruling) | {'lives'} (it is undone just now) | {'gone'}
local b = P .. 'batch:' .. id
local r = redis.call('HMGET', b, 'id', 'ruling', 'ruling_no', 'ended', 'succeeded')
if not r[1] then return { 'gone' } end
if ARGV[5] ~= '' and ARGV[5] ~= (r[3] or '0') then return { 'stale' } end
if ARGV[3] == 'again' and r[2] == 'undo' and (not r[4] or tonumber(r[5] or 0) > 0) then
  return { 'lives' }
end
redis.call('HSET', b, 'ruling', ARGV[3], 'reason', ARGV[4])
redis.call('HDEL', b, 'carried')
local number = redis.call('HINCRBY', b, 'ruling_no', 1)
batch_news(id)
return { 'ok', string.format('%d', number) }
