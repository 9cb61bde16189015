-- What every script begins with. ARGV[1] is the prefix of all keys, ARGV[2] the launch's id.
-- MOVES and PUBLIC are written in front of this text from xenlaunch/states.py.
-- Every launch that is neither waiting in its pool's line nor ended and told stands in the sorted
-- set `due`, scored with the moment (ms) at which somebody must look at it.
local P = ARGV[1]
local id = ARGV[2]
local key = P .. 'launch:' .. id

local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- So many events of a launch are kept with it; the stream of all launches' events is shorter-lived.
local HISTORY = 400

local function get(...) return redis.call('HMGET', key, ...) end
local function set(...) redis.call('HSET', key, ...) end
local function look_at(ms) redis.call('ZADD', P .. 'due', ms, id) end

-- Who must have begun by some moment, and has not, is looked at then at the latest.
local function look_by(ms)
  local start_by = redis.call('HGET', key, 'start_by')
  look_at(start_by and math.min(ms, start_by) or ms)
end

-- Who is ready waits for a message to be taken: so many messages are enough.
local function ready(change)
  local pool = redis.call('HGET', key, 'pool')
  return pool and redis.call(change, P .. 'ready:' .. pool, id)
end

-- A step is to be begun: at once by whoever sends the message, at the latest at this moment.
local function wish(ms)
  ready('SADD')
  look_by(ms)
end

-- What is written after a launch's end was told goes when its record goes.
local function expire_with_launch(part)
  local ttl = redis.call('PTTL', key)
  if ttl > 0 then redis.call('PEXPIRE', key .. part, ttl) end
end

local function tell(kind, what)
  local r = get('state', 'step', 'batch', 'pool', 'name')
  redis.call('XADD', P .. 'events', 'MAXLEN', '~', 50000, '*', 'launch', id, 'batch', r[3] or '',
    'kind', kind, 'state', PUBLIC[r[1]], 'step', r[2] or '', 'pool', r[4] or '',
    'name', r[5] or '', 'what', what or '')
  redis.call('RPUSH', key .. ':history',
    cjson.encode({ at = now(), kind = kind, state = PUBLIC[r[1]], step = r[2] or '', what = what or '' }))
  redis.call('LTRIM', key .. ':history', -HISTORY, -1)
end

-- Wakes the pool's dispatcher: one element is enough, however many reasons there are.
local function nudge(pool)
  local list = P .. 'nudge:' .. pool
  if redis.call('LLEN', list) == 0 then
    redis.call('RPUSH', list, 1)
    redis.call('PEXPIRE', list, 60000)
  end
end

-- A pool's line is fair between owners: scheduler/fair.py says how, and does the same in Python.
-- The hash `fair` has the virtual time of each priority, and of each owner how many launches have
-- still to go and the latest of their tags. It goes when nothing waits and nothing is in flight.
-- The set `line` has an owner's launches that have not been in flight, by when they were asked for.
local UNIT, PRIORITY = 1e6, 5e14

-- The launch's place in every line: the least goes first. One that was read back from its pool has
-- stood in none: it goes before all others of its priority.
local function turn()
  local r = get('turn', 'priority')
  return tonumber(r[1] or r[2] * PRIORITY)
end

local function own_line(pool, who) return P .. 'line:' .. pool .. ':' .. who end

-- Of one owner's launches who was asked for first goes first, whoever was accepted first.
local function sort_in(line, mine)
  local r = get('submitted', 'tag', 'turn', 'asked')
  local asked = r[4] or r[1]
  local later = redis.call('ZRANGEBYSCORE', mine, asked + 1, '+inf')
  for i = #later, 1, -1 do
    local other = P .. 'launch:' .. later[i]
    local o = redis.call('HMGET', other, 'tag', 'turn')
    redis.call('HSET', other, 'tag', r[2], 'turn', r[3])
    redis.call('ZADD', line, r[3], later[i])
    set('tag', o[1], 'turn', o[2])
    r[2], r[3] = o[1], o[2]
  end
  redis.call('ZADD', mine, asked, id)
end

-- A launch comes into its pool's line: anew, or where its place was when it went.
local function line_up(weight)
  local r = get('pool', 'priority', 'owner', 'tag', 'start_by')
  local fair, who = P .. 'fair:' .. r[1], r[2] .. ':' .. r[3]
  local f = redis.call('HMGET', fair, 'now:' .. r[2], 'last:' .. who)
  local virtual, tag, joined = tonumber(f[1] or 0), tonumber(r[4] or 0), 0
  if weight then
    tag = math.max(virtual, tonumber(f[2] or 0)) + math.floor(UNIT / weight)
    joined = redis.call('HINCRBY', fair, 'joined', 1)
    redis.call('HSET', fair, 'last:' .. who, tag)
    redis.call('HINCRBY', fair, 'ahead:' .. who, 1)
    set('ahead', 1)
  else
    tag = math.min(tag, virtual)
  end
  set('tag', tag, 'turn', r[2] * PRIORITY + math.min(tag + joined, PRIORITY - 1))
  if weight then sort_in(P .. 'waiting:' .. r[1], own_line(r[1], who)) end
  redis.call('ZADD', P .. 'waiting:' .. r[1], turn(), id)
  if r[5] then look_at(r[5]) else redis.call('ZREM', P .. 'due', id) end
  nudge(r[1])
end

-- It has gone, or never will.
local function gone(pool)
  if redis.call('HDEL', key, 'ahead') == 0 then return end
  local r = get('priority', 'owner')
  local fair, who = P .. 'fair:' .. pool, r[1] .. ':' .. r[2]
  if redis.call('HINCRBY', fair, 'ahead:' .. who, -1) <= 0 then
    redis.call('HDEL', fair, 'ahead:' .. who, 'last:' .. who)
  end
end

-- A launch that goes, for it has its first slot, takes the virtual time with it.
local function go(pool)
  local r = get('priority', 'tag', 'state')
  if r[3] ~= 'running' then return end
  local fair, now_of = P .. 'fair:' .. pool, 'now:' .. r[1]
  if tonumber(r[2] or 0) > tonumber(redis.call('HGET', fair, now_of) or 0) then
    redis.call('HSET', fair, now_of, r[2])
  end
  gone(pool)
end

local function leave_line(pool)
  if redis.call('ZREM', P .. 'waiting:' .. pool, id) == 0 then return end
  local r = get('priority', 'owner')
  redis.call('ZREM', own_line(pool, r[1] .. ':' .. r[2]), id)
end

-- Of a pool that has nothing waiting and nothing in flight nothing is remembered.
local function forget_turns(pool)
  if redis.call('EXISTS', P .. 'waiting:' .. pool, P .. 'inflight:' .. pool) == 0 then
    redis.call('DEL', P .. 'fair:' .. pool)
  end
end

local function release()
  redis.call('HDEL', key, 'lease', 'lease_until', 'worker')
end

-- `troubles` has since when a step meets which, by code: that wears its patience. How long it was
-- parked for something else meanwhile, as for its turn, does not count.
local function meet(trouble, t)
  local troubles = cjson.decode(redis.call('HGET', key, 'troubles') or '{}')
  troubles[trouble] = troubles[trouble] or t
  set('troubles', cjson.encode(troubles))
end

local function leave_out(ms)
  local troubles = redis.call('HGET', key, 'troubles')
  if not troubles then return end
  local later = {}
  for code, since in pairs(cjson.decode(troubles)) do later[code] = since + ms end
  set('troubles', cjson.encode(later))
end

local function unpark()
  local r = get('parked', 'pool', 'slot_wanted')
  if not r[1] then return end
  local parked = cjson.decode(r[1])
  local ref = parked.ref
  if (parked.trouble or '') == '' then leave_out(now() - parked.since) end
  if ref ~= '' then redis.call('HDEL', P .. 'parked:' .. r[2], ref) end
  for what in string.gmatch(r[3] or '', '%S+') do
    redis.call('ZREM', P .. 'slotline:' .. r[2] .. ':' .. what, id)
  end
  redis.call('HDEL', key, 'parked', 'slot_wanted')
end

-- Slots: so many at once may have an SR or a host work for them. A launch holds those of one call,
-- `slots_of`, until that call is over. Whoever frees one gives it to the next in line, at once.
local function has_slot(pool, what)
  local r = redis.call('HMGET', P .. 'slots:' .. pool, 'now:' .. what, 'most:' .. what)
  local most = tonumber(r[2] or 1)
  return redis.call('ZCARD', P .. 'slot:' .. pool .. ':' .. what) < math.min(r[1] or most, most)
end

local function hold_slot(pool, what)
  redis.call('ZADD', P .. 'slot:' .. pool .. ':' .. what, now(), id)
  set('slots', (redis.call('HGET', key, 'slots') or '') .. what .. ' ')
  go(pool)
end

local function give_slots(pool, what)
  local line = P .. 'slotline:' .. pool .. ':' .. what
  local own, own_key = id, key
  while has_slot(pool, what) do
    id = redis.call('ZRANGE', line, 0, 0)[1]
    if not id then break end
    key = P .. 'launch:' .. id
    redis.call('ZREM', line, id)
    if string.sub(id, 1, 1) == '@' then  -- the sweeper: it looks for itself
      redis.call('ZADD', P .. 'slot:' .. pool .. ':' .. what, now(), id)
    elseif redis.call('HEXISTS', key, 'slot_wanted') == 1 then
      unpark()
      hold_slot(pool, what)
      wish(now() + 3000)
      redis.call('RPUSH', P .. 'given:' .. pool, id .. ' ' .. redis.call('HGET', key, 'step'))
      redis.call('PEXPIRE', P .. 'given:' .. pool, 60000)
    end
  end
  id, key = own, own_key
end

local function free_slots()
  local r = get('slots', 'pool')
  if not r[1] then return end
  redis.call('HDEL', key, 'slots', 'slots_of')
  for what in string.gmatch(r[1], '%S+') do
    redis.call('ZREM', P .. 'slot:' .. r[2] .. ':' .. what, id)
    give_slots(r[2], what)
  end
end

-- A call that may still run keeps its slots: the SR or the host works on it, whoever waits for it.
local function free_idle_slots()
  local of = redis.call('HGET', key, 'slots_of')
  local call = of and redis.call('HGET', key .. ':calls', of)
  if of and not (call and cjson.decode(call).state == 'open') then free_slots() end
end

-- What a pool bears is found out: half as many at once when it says that it is too much, and one
-- more, up to what is set, whenever so many have gone well since. What fails for another reason says
-- nothing of it.
local GOOD = 16
local CROWDED = { OTHER_OPERATION_IN_PROGRESS = true, TOO_MANY_PENDING_TASKS = true }
local function learn_from(is_done, code)
  local r = get('slots', 'pool')
  local h = P .. 'slots:' .. (r[2] or '')
  for what in string.gmatch(r[1] or '', '%S+') do
    local s = redis.call('HMGET', h, 'now:' .. what, 'most:' .. what)
    local most = tonumber(s[2] or 1)
    local at_once = tonumber(s[1] or most)
    if CROWDED[code] then
      redis.call('HSET', h, 'now:' .. what, math.max(1, math.floor(at_once / 2)), 'good:' .. what, 0)
    elseif is_done and s[1] and redis.call('HINCRBY', h, 'good:' .. what, 1) >= GOOD then
      redis.call('HSET', h, 'good:' .. what, 0, 'now:' .. what, math.min(at_once + 1, most))
      if at_once + 1 >= most then redis.call('HDEL', h, 'good:' .. what, 'now:' .. what) end
    end
  end
end

-- The call that the slots were taken for is over, done or with an error of this code.
local function call_over(is_done, code)
  learn_from(is_done, code)
  free_slots()
end

-- Time that a step has taken, parked or not, is counted from its first claim.
local function count_step(t)
  local r = get('step', 'step_since')
  if r[2] then
    redis.call('HINCRBY', key, 'ms:' .. r[1], t - r[2])
    redis.call('HDEL', key, 'step_since', 'troubles')
  end
end

-- Somebody must look at a batch: the counters that its policy goes by have changed, or its ruling.
local function batch_news(batch)
  local b = P .. 'batch:' .. batch
  if redis.call('EXISTS', b) == 0 then return end
  redis.call('HINCRBY', b, 'news', 1)
  redis.call('ZADD', P .. 'due_batches', now(), batch)
  nudge('all:batches')
end

-- What lies of a batch is kept for so long from now on (ms), and no shorter while any of it goes on.
local function keep_batch(batch, keep)
  local b = P .. 'batch:' .. batch
  if redis.call('HEXISTS', b, 'ended') == 0 then keep = math.max(keep, redis.call('PTTL', b)) end
  for _, part in ipairs({ '', ':launches', ':failed' }) do redis.call('PEXPIRE', b .. part, keep) end
end

-- Of a batch that has expired nothing is counted any more.
local function is_kept(batch) return redis.call('HEXISTS', P .. 'batch:' .. batch, 'id') == 1 end

-- What is ruled for a batch is carried out launch by launch: a later ruling ends it.
local function ruled(batch, number)
  return redis.call('HGET', P .. 'batch:' .. batch, 'ruling_no') == number
end

-- Who has one launch begin again wants the policy asked anew, and the batch is not being cancelled
-- or destroyed any more, if that was done.
local function overrule(batch)
  local b = P .. 'batch:' .. batch
  local r = redis.call('HMGET', b, 'ruling', 'carried')
  local done = (r[1] == 'cancel' or r[1] == 'destroy') and r[2]
  if r[1] ~= 'stop' and r[1] ~= 'undo' and not done then return end
  redis.call('HDEL', b, 'ruling', 'reason', 'carried')
  redis.call('HINCRBY', b, 'ruling_no', 1)
end

-- A batch is counted as its launches move. `lost` are those that ended without a VM that stays.
local function lost(batch)
  if is_kept(batch) and redis.call('HSETNX', key, 'lost', 1) == 1 then
    redis.call('HINCRBY', P .. 'batch:' .. batch, 'lost', 1)
  end
end

local function found_again(batch)
  if is_kept(batch) and redis.call('HDEL', key, 'lost') == 1 then
    redis.call('HINCRBY', P .. 'batch:' .. batch, 'lost', -1)
  end
end

local function count_in_batch(batch, before, after, t)
  local b = P .. 'batch:' .. batch
  if not is_kept(batch) then return end
  redis.call('HINCRBY', b, before, -1)
  redis.call('HINCRBY', b, after, 1)
  if after == 'failed' or after == 'cancelled' then lost(batch) end
  if after == 'failed' then redis.call('ZADD', b .. ':failed', t, id) end
  if before == 'failed' then redis.call('ZREM', b .. ':failed', id) end
  local anew = before == 'undoing' and after == 'waiting'
  if not (ENDED[before] or ENDED[after] or anew) then return end
  local going = redis.call('HMGET', b, 'waiting', 'running', 'undoing')
  if (going[1] or 0) + (going[2] or 0) + (going[3] or 0) == 0 then
    redis.call('HSET', b, 'ended', t)
  else
    redis.call('HDEL', b, 'ended')
  end
  batch_news(batch)
end

-- Reservations go with the state: in this one place.
local function move(to, t)
  local r = get('state', 'pool', 'batch')
  local from = r[1]
  if not MOVES[from .. '>' .. to] then error('ILLEGAL ' .. from .. ' ' .. to) end
  set('state', to)
  local before, after = PUBLIC[from], PUBLIC[to]
  if before ~= after then
    redis.call('ZREM', P .. 'state:' .. before, id)
    redis.call('ZADD', P .. 'state:' .. after, t, id)
    if r[3] and r[3] ~= '' then count_in_batch(r[3], before, after, t) end
  end
  if r[2] then
    if to == 'waiting' or ENDED[to] then
      redis.call('HDEL', P .. 'inflight:' .. r[2], id)
      nudge(r[2])
    end
    if from == 'waiting' then leave_line(r[2]) end
    if from ~= 'waiting' or to ~= 'running' then gone(r[2]) end
    if ENDED[to] then forget_turns(r[2]) end
  end
end

-- What one launch alone may have until it has ended: its MACs, and the disks that it writes to. Those
-- are in ARGV from some place on; the first that another launch has claimed, or nil.
local function claim(pool, from)
  local claims, mine = P .. 'macs:' .. pool, redis.call('HGET', key, 'macs') or ''
  for i = from, #ARGV do
    local owner = redis.call('HGET', claims, ARGV[i])
    if owner and owner ~= id then return ARGV[i] end
  end
  for i = from, #ARGV do
    redis.call('HSET', claims, ARGV[i], id)
    local known = string.find(' ' .. mine .. ' ', ' ' .. ARGV[i] .. ' ', 1, true)
    if not known then mine = mine .. ' ' .. ARGV[i] end
  end
  set('macs', mine)
end

local function free_macs()
  local r = get('pool', 'macs')
  if not (r[1] and r[2]) then return end
  for mac in string.gmatch(r[2], '%S+') do
    if redis.call('HGET', P .. 'macs:' .. r[1], mac) == id then
      redis.call('HDEL', P .. 'macs:' .. r[1], mac)
    end
  end
end

-- The launch is over. It stays due until its result has been told (`told`).
local function finish_launch(state, t)
  count_step(t)
  unpark()
  free_slots()
  release()
  ready('SREM')
  move(state, t)
  free_macs()
  local pool = redis.call('HGET', key, 'pool')
  if pool then redis.call('HDEL', P .. 'hunting:' .. pool, id) end
  if pool then redis.call('HDEL', P .. 'networks:' .. pool, id) end
  if redis.call('HDEL', key, 'setup') == 1 then set('untold', 1) end
  redis.call('HDEL', key, 'start_by', 'begins_by')
  set('ended', t)
  look_at(t + 1000)
  tell('state')
end

-- Whoever asked for the end is named in it: a launch that was cancelled ends cancelled.
local function begin_undo(outcome, failure, t)
  local asked = redis.call('HGET', key, 'cancel')
  if asked then outcome, failure = 'cancelled', asked end
  local failed_at = redis.call('HGET', key, 'step')
  count_step(t)
  unpark()
  free_idle_slots()
  release()
  move('undoing', t)
  redis.call('HDEL', key, 'retries', 'in_a_row', 'start_by', 'begins_by')
  set('failed_at', failed_at, 'step', 'undo', 'outcome', outcome, 'error', failure)
  wish(t)
  tell('state')
end

-- A launch that was undone goes into the line once more. From its first step on it is accepted anew,
-- perhaps for another pool, and stands behind those who wait; from a later one it goes on with what
-- it has (`kept`), and its turn is as early as it was. So is the turn of one that hosts have refused:
-- its pool has another copy of its template, and those hosts are avoided still.
local function begin_again(step, t)
  count_step(t)
  unpark()
  free_slots()
  release()
  ready('SREM')
  local r = get('pool', 'macs', 'start_within')
  if r[1] then redis.call('HDEL', P .. 'hunting:' .. r[1], id) end
  redis.call('HDEL', key, 'host', 'outcome', 'error', 'failed_at', 'retries', 'in_a_row', 'reason', 'kept')
  set('step', step)
  move('waiting', t)
  if step == 'connect' then redis.call('HDEL', key, 'learnt') else set('kept', 1) end
  if step == 'connect' and redis.call('HEXISTS', key, 'avoid') == 0 then
    redis.call('HDEL', key, 'pool', 'macs', 'tag', 'turn')
    set('asked', t)
    if r[3] then set('start_by', t + r[3]) end
    look_at(t)
  else
    for mac in string.gmatch(r[2] or '', '%S+') do
      redis.call('HSETNX', P .. 'macs:' .. r[1], mac, id)
    end
    line_up()
  end
  tell('state')
end

-- Whether nothing of a launch that waits can be in a pool: what had been is undone.
local function untouched()
  return redis.call('EXISTS', key .. ':calls') == 0 or not redis.call('HGET', key, 'pool')
end
