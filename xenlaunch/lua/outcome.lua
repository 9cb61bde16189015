-- A fact: taken from anyone, in any state.
-- call key ('' where no call says it), call, what it made ...
-- What was made counts whoever says so. How a call stands only its latest attempt may say, and only
-- forwards: a former owner that wakes up late must not open again what its heir has settled.
if redis.call('EXISTS', key) == 0 then return 'gone' end
local FORWARD = { open = 0, failed = 2, done = 3 }
local function rank(call)
  return call.attempt * 4 + (FORWARD[call.state] == 0 and call.task ~= '' and 1 or FORWARD[call.state])
end
if ARGV[3] ~= '' then
  local known = redis.call('HGET', key .. ':calls', ARGV[3])
  local call = cjson.decode(ARGV[4])
  if not known or rank(cjson.decode(known)) <= rank(call) then
    redis.call('HSET', key .. ':calls', ARGV[3], ARGV[4])
    local by = ARGV[3] == 'clone' and call.state == 'failed' and redis.call('HGET', key, 'begins_by')
    if by then set('start_by', by) end
    if call.state ~= 'open' and redis.call('HGET', key, 'slots_of') == ARGV[3] then
      call_over(call.state == 'done', call.value)
    end
  end
end
for i = 5, #ARGV do redis.call('SADD', key .. ':made', ARGV[i]) end
expire_with_launch(':calls')
expire_with_launch(':made')
return 'ok'
