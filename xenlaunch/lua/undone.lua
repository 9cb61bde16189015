-- fence, facts that were seen, leftovers, keep (ms) -> 'ok' | 'lost' | 'again'
local r = get('lease', 'outcome', 'last_fence', 'pool')
if r[3] == ARGV[3] then return 'ok' end
if r[1] ~= ARGV[3] then return 'lost' end
if redis.call('SCARD', key .. ':made') ~= tonumber(ARGV[4]) then return 'again' end
set('leftovers', ARGV[5], 'last_fence', ARGV[3])
local t = now()
if ARGV[5] ~= '[]' then
  redis.call('ZADD', P .. 'leftovers:' .. r[4], t, id)
  redis.call('PEXPIRE', P .. 'leftovers:' .. r[4], ARGV[6])
  nudge('sweep:' .. r[4])
end
finish_launch(r[2] == 'waiting' and 'failed' or r[2], t)
return 'ok'
