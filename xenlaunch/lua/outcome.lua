-- A fact: taken from anyone, in any state.
-- call key ('' where no call says it), attempt, call, what it made ...
-- What was made counts whoever says so; how a call stands only its latest attempt may say.
if redis.call('EXISTS', key) == 0 then return 'gone' end
local known = ARGV[3] ~= '' and redis.call('HGET', key .. ':calls', ARGV[3])
if ARGV[3] ~= '' and (not known or cjson.decode(known).attempt <= tonumber(ARGV[4])) then
  redis.call('HSET', key .. ':calls', ARGV[3], ARGV[5])
end
for i = 6, #ARGV do redis.call('SADD', key .. ':made', ARGV[i]) end
expire_with_launch(':calls')
expire_with_launch(':made')
return 'ok'
