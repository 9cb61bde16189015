-- WAIT heeds only what its own connection has written: here is something, whatever was repeated. keep (ms)
redis.call('SET', P .. 'confirming', 1, 'PX', ARGV[3])
return 1
