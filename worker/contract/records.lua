-- Job and chunk records: every transition is one atomic call, times come from Redis.
-- The table K of key names is written in front of this file by keys.py.
--
-- job hash:   tenant lane options metadata total chunk_images chunks planned finished
--             running succeeded failed cancelled expired status created_ms started_ms
--             finished_ms cancel fence vtime
-- chunk hash: state (queued | claimed) token attempts
-- Chunks exist from planning to finishing; `planned` is the cursor, `done` the bitmap.

local FINAL = 'final'

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function int(value)
  return tonumber(value) or 0
end

local function field(job, name)
  return redis.call('HGET', K.job .. job, name)
end

local function add(job, name, n)
  return redis.call('HINCRBY', K.job .. job, name, n)
end

local function items_of(job, chunk)
  if chunk == FINAL then return 0 end
  local size = int(field(job, 'chunk_images'))
  return math.min(size, int(field(job, 'total')) - int(chunk) * size)
end

-- Start-time fair queueing (Goyal et al. 1996): jobs of one lane take turns.
local function enqueue(job, chunk)
  local lane = chunk == FINAL and 'hi' or field(job, 'lane')
  local clock = tonumber(redis.call('GET', K.clock .. lane) or '0')
  local turn = clock
  if chunk ~= FINAL then
    turn = math.max(clock, tonumber(field(job, 'vtime') or '0')) + 1
    redis.call('HSET', K.job .. job, 'vtime', turn)
  end
  redis.call('ZADD', K.ready .. lane, turn, job .. '/' .. chunk)
  return lane
end

local function plan(job, chunk)
  redis.call('HSET', K.chunk .. job .. '/' .. chunk, 'state', 'queued', 'token', 0, 'attempts', 0)
  return enqueue(job, chunk)
end

local function plan_next(job)
  local planned = int(field(job, 'planned'))
  if planned >= int(field(job, 'chunks')) then return '' end
  redis.call('HSET', K.job .. job, 'planned', planned + 1)
  return plan(job, tostring(planned))
end

local function plan_final_if_settled(job)
  if int(field(job, 'finished')) < int(field(job, 'chunks')) then return '' end
  return plan(job, FINAL)
end

-- True while this claim's token is the chunk's newest and its lease was not taken away.
local function holds(job, chunk, token)
  local held = redis.call('HMGET', K.chunk .. job .. '/' .. chunk, 'state', 'token')
  return held[1] == 'claimed' and held[2] == token
end

local command = {}

-- job, ttl_s, window, then field value ... -> lane, or '' if the job exists already
function command.create(job, _, window, ...)
  if redis.call('EXISTS', K.job .. job) == 1 then return '' end
  redis.call('HSET', K.job .. job, 'status', 'queued', 'created_ms', now_ms(), 'planned', 0,
    'finished', 0, 'running', 0, 'succeeded', 0, 'failed', 0, 'cancelled', 0, 'expired', 0,
    'fence', 0, 'vtime', 0, ...)
  redis.call('ZADD', K.tenant .. field(job, 'tenant') .. ':jobs', 0, job)
  for _ = 1, int(window) do
    if plan_next(job) == '' then break end
  end
  return field(job, 'lane')
end

-- lease_ms, max_attempts, lane ... -> verdict, job, chunk, token, attempts, items, job hash | nil
function command.claim(lease_ms, max_attempts, ...)
  for _, lane in ipairs({...}) do
    while true do
      local popped = redis.call('ZPOPMIN', K.ready .. lane)
      if not popped[1] then break end
      local member = popped[1]
      local job, chunk = member:match('^(.*)/(.*)$')
      if redis.call('EXISTS', K.chunk .. member, K.job .. job) == 2 then
        redis.call('SET', K.clock .. lane, popped[2])
        local now = now_ms()
        local token = add(job, 'fence', 1)
        local attempts = redis.call('HINCRBY', K.chunk .. member, 'attempts', 1)
        redis.call('HSET', K.chunk .. member, 'state', 'claimed', 'token', token)
        redis.call('ZADD', K.leases, now + int(lease_ms), member)
        add(job, 'running', items_of(job, chunk))
        if field(job, 'status') == 'queued' then
          redis.call('HSET', K.job .. job, 'status', 'running', 'started_ms', now)
        end
        local verdict = 'run'
        if chunk == FINAL then
          verdict = 'finalize'
        elseif field(job, 'cancel') then
          verdict = 'cancelled'
        elseif attempts > int(max_attempts) then
          verdict = 'exhausted'
        end
        return {verdict, job, chunk, token, attempts, items_of(job, chunk),
          redis.call('HGETALL', K.job .. job)}
      end
    end
  end
  return nil
end

-- -> 0 lease lost | 1 go on | 2 go on, but the job is being cancelled
function command.heartbeat(job, chunk, token, lease_ms)
  if not holds(job, chunk, token) then return 0 end
  redis.call('ZADD', K.leases, now_ms() + int(lease_ms), job .. '/' .. chunk)
  return field(job, 'cancel') and 2 or 1
end

-- -> lost, next lane | '' , settled (0 | 1)
function command.finish(job, chunk, token, succeeded, failed, cancelled, expired)
  if not holds(job, chunk, token) then return {1, '', 0} end
  redis.call('DEL', K.chunk .. job .. '/' .. chunk)
  redis.call('ZREM', K.leases, job .. '/' .. chunk)
  if redis.call('SETBIT', K.done .. job, chunk, 1) == 1 then return {1, '', 0} end
  add(job, 'running', -items_of(job, chunk))
  add(job, 'succeeded', int(succeeded))
  add(job, 'failed', int(failed))
  add(job, 'cancelled', int(cancelled))
  add(job, 'expired', int(expired))
  add(job, 'finished', 1)
  local lane = plan_next(job)
  local final = plan_final_if_settled(job)
  if final ~= '' then return {0, final, 1} end
  return {0, lane, 0}
end

-- Give a claim back, unfinished. counted = '0': the attempt was not the items' fault.
function command.release(job, chunk, token, delay_ms, counted)
  if not holds(job, chunk, token) then return 0 end
  local member = job .. '/' .. chunk
  redis.call('HSET', K.chunk .. member, 'state', 'queued')
  if counted == '0' then redis.call('HINCRBY', K.chunk .. member, 'attempts', -1) end
  redis.call('ZREM', K.leases, member)
  add(job, 'running', -items_of(job, chunk))
  if int(delay_ms) > 0 then
    redis.call('ZADD', K.delayed, now_ms() + int(delay_ms), member)
  else
    enqueue(job, chunk)
  end
  return 1
end

-- The end of a job: its final record is in S3 already.
function command.settle(job, token, status, finished_ms, ttl_s)
  if not holds(job, FINAL, token) then return 0 end
  redis.call('HSET', K.job .. job, 'status', status, 'finished_ms', finished_ms)
  redis.call('DEL', K.chunk .. job .. '/' .. FINAL, K.done .. job)
  redis.call('ZREM', K.leases, job .. '/' .. FINAL)
  redis.call('EXPIRE', K.job .. job, ttl_s)
  return 1
end

-- Chunks not planned yet are cancelled here; planned ones when a worker claims them.
function command.cancel(job)
  if not field(job, 'status') then return 0 end
  if field(job, 'finished_ms') or field(job, 'cancel') then return 1 end
  redis.call('HSET', K.job .. job, 'cancel', 1, 'status', 'cancelling')
  if int(field(job, 'finished')) >= int(field(job, 'chunks')) then return 1 end
  local planned, chunks = int(field(job, 'planned')), int(field(job, 'chunks'))
  if planned < chunks then
    local left = int(field(job, 'total')) - planned * int(field(job, 'chunk_images'))
    add(job, 'cancelled', left)
    add(job, 'finished', chunks - planned)
    redis.call('HSET', K.job .. job, 'planned', chunks)
    plan_final_if_settled(job)
  end
  return 1
end

-- Takes back expired leases and brings back what has waited long enough.
-- limit -> leases taken back, then how many are ready in each lane named
function command.sweep(limit, ...)
  local now = now_ms()
  local overdue = redis.call('ZRANGEBYSCORE', K.leases, '-inf', now, 'LIMIT', 0, limit)
  for _, member in ipairs(overdue) do
    redis.call('ZREM', K.leases, member)
    local job, chunk = member:match('^(.*)/(.*)$')
    if redis.call('EXISTS', K.chunk .. member, K.job .. job) == 2 then
      redis.call('HSET', K.chunk .. member, 'state', 'queued')
      add(job, 'running', -items_of(job, chunk))
      enqueue(job, chunk)
    end
  end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', K.delayed, '-inf', now, 'LIMIT', 0, limit)) do
    redis.call('ZREM', K.delayed, member)
    local job, chunk = member:match('^(.*)/(.*)$')
    if redis.call('EXISTS', K.chunk .. member, K.job .. job) == 2 then enqueue(job, chunk) end
  end
  local ready = {#overdue}
  for _, lane in ipairs({...}) do
    ready[#ready + 1] = redis.call('ZCARD', K.ready .. lane)
  end
  return ready
end

return command[ARGV[1]](unpack(ARGV, 2))
