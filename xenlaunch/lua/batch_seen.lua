-- Here `id` is a batch, which was looked at. the news that were seen -> 1 | 0 (there are more)
if (redis.call('HGET', P .. 'batch:' .. id, 'news') or '') ~= ARGV[3] then return 0 end
redis.call('ZREM', P .. 'due_batches', id)
return 1
