-- Here `id` is the batch's. digest, count, name, keep (ms), its policy (a JSON list of fields and
-- values), launch ... -> 'new' | 'same' | 'reused'
-- A batch whose sender dies before its launches are written must not stay for ever: it has a time
-- to live from the first, which each launch that ends sets anew. One that was adopted has only the
-- launches that came up: a repeat adds the others.
local batch = P .. 'batch:' .. id
local known = redis.call('HGET', batch, 'digest')
if known and known ~= ARGV[3] then return 'reused' end
for place = 8, #ARGV do redis.call('ZADD', batch .. ':launches', place - 7, ARGV[place]) end
local policy = cjson.decode(ARGV[7])
if #policy > 0 then redis.call('HSET', batch, unpack(policy)) end
if known then
  batch_news(id)
  return 'same'
end
redis.call('HSET', batch, 'id', id, 'digest', ARGV[3], 'count', ARGV[4], 'name', ARGV[5],
  'submitted', now(), 'waiting', ARGV[4], 'written', 0)
redis.call('ZADD', P .. 'batches', now(), id)
redis.call('PEXPIRE', batch, ARGV[6])
redis.call('PEXPIRE', batch .. ':launches', ARGV[6])
return 'new'
