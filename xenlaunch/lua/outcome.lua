-- A fact: taken from anyone, in any state. call key ('' where no call says it), call, what it made ...
if redis.call('EXISTS', key) == 0 then return 'gone' end
if ARGV[3] ~= '' then redis.call('HSET', key .. ':calls', ARGV[3], ARGV[4]) end
for i = 5, #ARGV do redis.call('SADD', key .. ':made', ARGV[i]) end
expire_with_launch(':calls')
expire_with_launch(':made')
return 'ok'
