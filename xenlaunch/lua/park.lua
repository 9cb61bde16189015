-- fence, what, ref, milliseconds, retry, the trouble's code ('' where what is waited for is none)
-- -> 'ok' | 'noted' | 'lost' | 'cancel'
local r = get('lease', 'last_fence', 'cancel', 'state', 'pool')
if r[2] == ARGV[3] then return 'ok' end
if r[1] ~= ARGV[3] then return 'lost' end
if ARGV[5] ~= '' and redis.call('HEXISTS', key .. ':notes', ARGV[5]) == 1 then return 'noted' end
if r[3] and r[4] == 'running' then return 'cancel' end
local t, again, trouble = now(), ARGV[7] == '1', ARGV[8] or ''
set('parked', cjson.encode({ what = ARGV[4], ref = ARGV[5], since = t, deadline = t + ARGV[6],
  retry = again, trouble = trouble }), 'last_fence', ARGV[3])
if trouble ~= '' then meet(trouble, t) end
if again then
  redis.call('HINCRBY', key, 'retries', 1)
  if redis.call('HGET', key, 'retried_for') ~= trouble then
    set('retried_for', trouble, 'in_a_row', 0)
  end
  redis.call('HINCRBY', key, 'in_a_row', 1)
  free_idle_slots()
end
if ARGV[5] ~= '' then redis.call('HSET', P .. 'parked:' .. r[5], ARGV[5], id) end
release()
ready('SREM')
look_by(t + ARGV[6])
tell(again and 'retry' or 'parked', ARGV[4])
return 'ok'
