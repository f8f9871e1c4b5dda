-- Hashes of jobs and chunks, and the counts beside them. Each command is one atomic call; times
-- come from Redis. The table K of key names, the constants of lanes.py and deliveries.lua, which has
-- the clock, are written in front of this file; planning.lua, jobs.lua, claims.lua and sweep.lua
-- follow.
--
-- job hash:   tenant lane options metadata source shard total chunk_images chunks sealed cursor
--             planned open finished  running succeeded failed cancelled expired
--             status error created_ms started_ms finished_ms expires_ms stop fence vtime
--             halfway_ms predicted_ms runs webhook traceparent
--             budget (of a job whose source is still to be read)
-- chunk hash: state (queued | claimed) token attempts items retry suspect poison strike:N
--
-- Writes here: pending, and the counts of quotas.

local command = {}

local function int(value)
  return tonumber(value) or 0
end

local function field(job, name)
  return redis.call('HGET', K.job .. job, name)
end

local function set(job, ...)
  redis.call('HSET', K.job .. job, ...)
end

local function add(job, name, n)
  if n == 0 then return int(field(job, name)) end
  return redis.call('HINCRBY', K.job .. job, name, n)
end

local function is_pseudo(chunk)
  return chunk == FINAL or chunk == PLAN
end

local function split(member)
  return member:match('^(.*)/(.*)$')
end

local function items_of(member)
  return int(redis.call('HGET', K.chunk .. member, 'items'))
end

-- True while this claim's token is the chunk's newest and its lease was not taken away.
local function holds(job, chunk, token)
  local held = redis.call('HMGET', K.chunk .. job .. '/' .. chunk, 'state', 'token')
  return held[1] == 'claimed' and held[2] == token
end

local function drop(job, chunk)
  redis.call('DEL', K.chunk .. job .. '/' .. chunk)
  redis.call('ZREM', K.leases, job .. '/' .. chunk)
end

-- Images that wait or run, of a tenant and of a lane.
local function add_pending(job, n)
  redis.call('HINCRBY', K.pending, 'tenant:' .. field(job, 'tenant'), n)
  redis.call('HINCRBY', K.pending, 'lane:' .. field(job, 'lane'), n)
end

-- A budget names counts of submitted images, 'key limit kept_until_ms' each; limit -1: none.
-- -> the key of the first without room for n more | nil
local function overspent(budget, n)
  for key, limit in budget:gmatch('(%S+) (%S+) %S+') do
    if int(limit) >= 0 and int(redis.call('GET', key)) + n > int(limit) then return key end
  end
end

local function spend(budget, n)
  if n == 0 then return end
  for key, kept_until_ms in budget:gmatch('(%S+) %S+ (%S+)') do
    redis.call('INCRBY', key, n)
    redis.call('PEXPIREAT', key, kept_until_ms)
  end
end
