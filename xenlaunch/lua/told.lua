-- The result lies where upstream looks for it. keep (ms)
local r = get('ended', 'batch')
if not r[1] then return 0 end
redis.call('ZREM', P .. 'due', id)
for _, part in ipairs({ '', ':calls', ':notes', ':made', ':history' }) do
  redis.call('PEXPIRE', key .. part, ARGV[3])
end
if r[2] and r[2] ~= '' then keep_batch(r[2], ARGV[3]) end
return 1
