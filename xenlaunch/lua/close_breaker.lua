-- Here `id` is the pool's name. the breaker's field -> 1 | 0
nudge(id)
return redis.call('HDEL', P .. 'deployment', ARGV[3])
