-- What had failed is undone as far as it must be, and begins again.
-- fence, facts that were seen, step to go on with, the keys of the calls to be made anew ...
-- -> 'ok' | 'lost' | 'again'
local r = get('lease', 'outcome', 'last_fence')
if r[3] == ARGV[3] then return 'ok' end
if r[1] ~= ARGV[3] or r[2] ~= 'waiting' then return 'lost' end
if redis.call('SCARD', key .. ':made') ~= tonumber(ARGV[4]) then return 'again' end
for i = 6, #ARGV do
  local known = redis.call('HGET', key .. ':calls', ARGV[i])
  local call = known and cjson.decode(known)
  if call and call.method == '' then
    redis.call('HDEL', key .. ':calls', ARGV[i])
  elseif call then  -- a number that none had yet: nobody who wakes up late may speak of this one
    call.state, call.task, call.value, call.attempt = 'failed', '', '', call.attempt + 1
    redis.call('HSET', key .. ':calls', ARGV[i], cjson.encode(call))
  end
end
redis.call('DEL', key .. ':notes')
set('last_fence', ARGV[3])
begin_again(ARGV[5], now())
return 'ok'
