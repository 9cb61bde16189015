-- Whoever sends a launch's step again does it alone, and later each time. resend, most -> 1 | 0
local due = redis.call('ZSCORE', P .. 'due', id)
local t = now()
if not due or tonumber(due) > t then return 0 end
local resent = redis.call('HINCRBY', key, 'resent', 1)
look_at(t + math.min(ARGV[3] * 2 ^ (resent - 1), ARGV[4]))
return 1
