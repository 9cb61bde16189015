-- A fact: taken from anyone, in any state. call key, call, what it made ...
if redis.call('EXISTS', key) == 0 then return 'gone' end
redis.call('HSET', key .. ':calls', ARGV[3], ARGV[4])
for i = 5, #ARGV do redis.call('SADD', key .. ':made', ARGV[i]) end
return 'ok'
