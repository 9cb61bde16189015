-- Here `id` is the batch's. digest, count, name -> 'new' | 'same' | 'reused'
local batch = P .. 'batch:' .. id
local known = redis.call('HGET', batch, 'digest')
if known then return known == ARGV[3] and 'same' or 'reused' end
redis.call('HSET', batch, 'id', id, 'digest', ARGV[3], 'count', ARGV[4], 'name', ARGV[5],
  'submitted', now(), 'waiting', ARGV[4])
return 'new'
