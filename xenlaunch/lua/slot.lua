-- The right to have an SR or a host work on one call: any one of those that are named, which is then
-- held until the call is over; where none is free the launch waits in the lines of all of them.
-- fence, call key, what it waits for, at most so long (ms), what, how many at once, what, ...
-- -> 'ok', what | 'parked' | 'lost' | 'cancel'
local r = get('lease', 'last_fence', 'cancel', 'state', 'pool', 'slots_of', 'slots')
if r[2] == ARGV[3] then return { 'parked' } end
if r[1] ~= ARGV[3] then return { 'lost' } end
if r[6] and r[6] ~= ARGV[4] then
  free_idle_slots()
  r[7] = redis.call('HGET', key, 'slots')
end
local pool, t = r[5], now()
local best, fewest
for i = 7, #ARGV, 2 do
  local what = ARGV[i]
  redis.call('HSET', P .. 'slots:' .. pool, 'most:' .. what, ARGV[i + 1])
  for held in string.gmatch(r[7] or '', '%S+') do
    if held == what then return { 'ok', what } end
  end
  local first = redis.call('ZRANGE', P .. 'slotline:' .. pool .. ':' .. what, 0, 0)[1]
  if has_slot(pool, what) and not first then
    local here = redis.call('ZCARD', P .. 'slot:' .. pool .. ':' .. what)
    if not best or here < fewest then best, fewest = what, here end
  end
end
if r[3] and r[4] == 'running' then return { 'cancel' } end
set('slots_of', ARGV[4])
if best then
  hold_slot(pool, best)
  return { 'ok', best }
end
local wanted = {}
for i = 7, #ARGV, 2 do
  redis.call('ZADD', P .. 'slotline:' .. pool .. ':' .. ARGV[i], turn(), id)
  wanted[#wanted + 1] = ARGV[i]
end
set('parked', cjson.encode({ what = ARGV[5], ref = '', since = t, deadline = t + ARGV[6],
  retry = false }), 'slot_wanted', table.concat(wanted, ' '), 'last_fence', ARGV[3])
release()
ready('SREM')
look_by(t + ARGV[6])
tell('parked', ARGV[5])
for _, what in ipairs(wanted) do give_slots(pool, what) end  -- more may be set now than were before
return { 'parked' }
