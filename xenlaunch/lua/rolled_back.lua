-- The pool holds more of a launch than its record knows. error, what it holds ...
-- -> 'undo' | 'undoing' (which goes on with it) | 'stale'
local state = get('state')[1]
if not state or ENDED[state] or state == 'finishing' then return 'stale' end
for i = 4, #ARGV do redis.call('SADD', key .. ':made', ARGV[i]) end
if state == 'undoing' then return 'undoing' end
begin_undo('failed', ARGV[3], now())
return 'undo'
