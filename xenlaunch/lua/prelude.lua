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

-- Who is ready waits for a message to be taken: so many messages are enough.
local function ready(change)
  local pool = redis.call('HGET', key, 'pool')
  return pool and redis.call(change, P .. 'ready:' .. pool, id)
end

-- A step is to be begun: at once by whoever sends the message, at the latest at this moment.
local function wish(ms)
  ready('SADD')
  look_at(ms)
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

local function release()
  redis.call('HDEL', key, 'lease', 'lease_until', 'worker')
end

local function unpark()
  local r = get('parked', 'pool')
  if not r[1] then return end
  local ref = cjson.decode(r[1]).ref
  if ref ~= '' then redis.call('HDEL', P .. 'parked:' .. r[2], ref) end
  redis.call('HDEL', key, 'parked')
end

-- Time that a step has taken, parked or not, is counted from its first claim.
local function count_step(t)
  local r = get('step', 'step_since')
  if r[2] then
    redis.call('HINCRBY', key, 'ms:' .. r[1], t - r[2])
    redis.call('HDEL', key, 'step_since')
  end
end

-- A pool clones only so many at once: its storage takes them one by one, and few may wait.
local function cloned()
  local pool = redis.call('HGET', key, 'pool')
  if pool and redis.call('SREM', P .. 'cloning:' .. pool, id) == 1 then nudge(pool) end
end

-- Slots and reservations go with the state: in this one place.
local function move(to, t)
  local r = get('state', 'pool', 'batch')
  local from = r[1]
  if not MOVES[from .. '>' .. to] then error('ILLEGAL ' .. from .. ' ' .. to) end
  set('state', to)
  local before, after = PUBLIC[from], PUBLIC[to]
  if before ~= after then
    redis.call('ZREM', P .. 'state:' .. before, id)
    redis.call('ZADD', P .. 'state:' .. after, t, id)
    if r[3] and r[3] ~= '' then
      redis.call('HINCRBY', P .. 'batch:' .. r[3], before, -1)
      redis.call('HINCRBY', P .. 'batch:' .. r[3], after, 1)
    end
  end
  if from == 'running' then cloned() end
  if r[2] then
    if to == 'waiting' or ENDED[to] then
      redis.call('HDEL', P .. 'inflight:' .. r[2], id)
      nudge(r[2])
    end
    if from == 'waiting' then redis.call('ZREM', P .. 'waiting:' .. r[2], id) end
  end
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
  release()
  ready('SREM')
  move(state, t)
  free_macs()
  local pool = redis.call('HGET', key, 'pool')
  if pool then redis.call('HDEL', P .. 'hunting:' .. pool, id) end
  if pool then redis.call('HDEL', P .. 'networks:' .. pool, id) end
  if redis.call('HDEL', key, 'setup') == 1 then set('untold', 1) end
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
  release()
  move('undoing', t)
  redis.call('HDEL', key, 'retries')
  set('failed_at', failed_at, 'step', 'undo', 'outcome', outcome, 'error', failure)
  wish(t)
  tell('state')
end

-- A launch that had ended goes into the line once more. From its first step on it is accepted anew,
-- perhaps for another pool; from a later one it goes on with what it has.
local function begin_again(step, t)
  count_step(t)
  unpark()
  release()
  ready('SREM')
  local r = get('pool', 'macs', 'priority', 'submitted')
  if r[1] then redis.call('HDEL', P .. 'hunting:' .. r[1], id) end
  redis.call('HDEL', key, 'host', 'avoid', 'outcome', 'error', 'failed_at', 'retries', 'reason')
  set('step', step)
  move('waiting', t)
  if step == 'connect' then
    redis.call('HDEL', key, 'pool', 'macs', 'learnt')
    look_at(t)
  else
    for mac in string.gmatch(r[2] or '', '%S+') do
      redis.call('HSETNX', P .. 'macs:' .. r[1], mac, id)
    end
    redis.call('ZADD', P .. 'waiting:' .. r[1], r[3] * 1e13 + r[4], id)
    redis.call('ZREM', P .. 'due', id)
    nudge(r[1])
  end
  tell('state')
end

-- Whether nothing of a launch that waits can be in a pool: what had been is undone.
local function untouched()
  return redis.call('EXISTS', key .. ':calls') == 0 or not redis.call('HGET', key, 'pool')
end
