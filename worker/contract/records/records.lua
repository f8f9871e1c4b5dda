-- Job and chunk records: every transition is one atomic call, times come from Redis.
-- The table K of key names, the constants of lanes.py and deliveries.lua, which has the clock, are
-- written in front of this file.
--
-- job hash:   tenant lane options metadata source shard total chunk_images chunks sealed cursor
--             planned open finished  running succeeded failed cancelled expired
--             status error created_ms started_ms finished_ms expires_ms stop fence vtime predicted_ms
--             runs webhook traceparent
--             budget (of a job whose source is still to be read)
-- chunk hash: state (queued | claimed) token attempts items retry suspect poison strike:N
--
-- Chunks exist from planning to finishing, at most WINDOW of a job at a time. `planned` is
-- the cursor over the manifest's shards; the list `reopened` holds what is to run again.

local STRIKES = 2            -- times a worker died on one image before it is set aside
local BACKOFF_MS = 1000
local MAX_BACKOFF_MS = 60000
local PACE_MS = 10000        -- throughput is counted in buckets of this length
local PACE_TTL_S = 120

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

-- Start-time fair queueing (Goyal et al. 1996): jobs of one lane take turns.
local function enqueue(job, chunk)
  if is_pseudo(chunk) then  -- the oldest first
    redis.call('ZADD', K.ready .. COORDINATOR, now_ms(), job .. '/' .. chunk)
    return COORDINATOR
  end
  local lane = field(job, 'lane')
  local turn = math.max(int(redis.call('GET', K.clock .. lane)), int(field(job, 'vtime'))) + 1
  set(job, 'vtime', turn)
  redis.call('ZADD', K.ready .. lane, turn, job .. '/' .. chunk)
  return lane
end

local function plan(job, chunk, items, retry)
  redis.call('HSET', K.chunk .. job .. '/' .. chunk, 'state', 'queued', 'token', 0,
    'attempts', 0, 'items', items, 'retry', retry)
  if not is_pseudo(chunk) then add(job, 'open', 1) end
  return enqueue(job, chunk)
end

local function plan_next(job)
  local planned = int(field(job, 'planned'))
  if planned < int(field(job, 'chunks')) then
    set(job, 'planned', planned + 1)
    local size = int(field(job, 'chunk_images'))
    local items = math.min(size, int(field(job, 'total')) - planned * size)
    return plan(job, tostring(planned), items, 0)
  end
  local again = redis.call('LPOP', K.reopened .. job)
  if not again then return '' end
  local chunk, items, retry = again:match('^(%d+):(%d+):(%d+)$')
  return plan(job, chunk, int(items), retry)
end

local function is_settled(job)
  return int(field(job, 'sealed')) == 1 and int(field(job, 'open')) == 0
    and int(field(job, 'planned')) >= int(field(job, 'chunks'))
    and redis.call('LLEN', K.reopened .. job) == 0
    and redis.call('EXISTS', K.chunk .. job .. '/' .. FINAL) == 0
end

-- Fills the job's window. -> the queue in which something became ready, or ''
local function advance(job)
  local queue = ''
  while int(field(job, 'open')) < WINDOW do
    local planned = plan_next(job)
    if planned == '' then break end
    queue = planned
  end
  if is_settled(job) then return plan(job, FINAL, 0, 0) end
  return queue
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

-- Shards that were never planned end here, all at once; planned ones when they are claimed,
-- and so do those of a retry: their results stand in S3 already and are to be written again.
local function stop(job, how)
  if field(job, 'finished_ms') or field(job, 'stop') then return end
  set(job, 'stop', how, 'status', 'cancelling')
  local planned, chunks = int(field(job, 'planned')), int(field(job, 'chunks'))
  if planned < chunks then
    local left = int(field(job, 'total')) - planned * int(field(job, 'chunk_images'))
    add(job, how, left)
    add_pending(job, -left)
    add(job, 'finished', chunks - planned)
    set(job, 'planned', chunks)
  end
  local again = redis.call('LINDEX', K.reopened .. job, 0)
  while again and again:sub(-2) == ':0' do
    local left = int(again:match(':(%d+):'))
    add(job, how, left)
    add_pending(job, -left)
    add(job, 'finished', 1)
    redis.call('LPOP', K.reopened .. job)
    again = redis.call('LINDEX', K.reopened .. job, 0)
  end
  advance(job)
end

local function back_to_queue(job, chunk, delay_ms)
  local member = job .. '/' .. chunk
  redis.call('ZREM', K.leases, member)
  redis.call('HSET', K.chunk .. member, 'state', 'queued')
  redis.call('HDEL', K.chunk .. member, 'suspect')
  add(job, 'running', -items_of(member))
  if delay_ms > 0 then
    redis.call('ZADD', K.delayed, now_ms() + delay_ms, member)
    return ''
  end
  return enqueue(job, chunk)
end

-- A worker died on this chunk. If it had named the image it was at, that image gets a strike;
-- an image with too many is set aside, and the chunk's attempts start over.
local function blame(member)
  local suspect = redis.call('HGET', K.chunk .. member, 'suspect')
  if not suspect then return end
  if redis.call('HINCRBY', K.chunk .. member, 'strike:' .. suspect, 1) < STRIKES then return end
  local poison = redis.call('HGET', K.chunk .. member, 'poison')
  redis.call('HSET', K.chunk .. member, 'attempts', 1,
    'poison', poison and poison .. ',' .. suspect or suspect)
end

-- Chunks that are to run again, 'chunk:items:retry' each with a comma between: as one
-- argument, for Lua takes some thousands at most. -> how many
local function push_reopened(job, chunks)
  local count = 0
  for chunk in chunks:gmatch('[^,]+') do
    redis.call('RPUSH', K.reopened .. job, chunk)
    count = count + 1
  end
  return count
end

local command = {}

-- Register a job. limits: most pending images of the tenant and of all together.
-- -> 'created' | 'exists' | 'tenant_full' | 'queue_full' | a key of the budget that is spent
function command.create(job, tenant_limit, total_limit, budget, ...)
  if redis.call('EXISTS', K.job .. job) == 1 then return 'exists' end
  local given = {...}
  local fields = {}
  for i = 1, #given, 2 do fields[given[i]] = given[i + 1] end
  local total = int(fields.total)
  local of_tenant = int(redis.call('HGET', K.pending, 'tenant:' .. fields.tenant))
  if of_tenant + total > int(tenant_limit) then return 'tenant_full' end
  local all = int(redis.call('HGET', K.pending, 'lane:hi'))
    + int(redis.call('HGET', K.pending, 'lane:bulk'))
  if all + total > int(total_limit) then return 'queue_full' end
  local spent = overspent(budget, math.max(1, total))
  if spent then return spent end
  spend(budget, total)
  set(job, 'status', 'queued', 'created_ms', now_ms(), 'planned', 0, 'open', 0, 'finished', 0,
    'running', 0, 'succeeded', 0, 'failed', 0, 'cancelled', 0, 'expired', 0, 'fence', 0,
    'vtime', 0, 'cursor', '', unpack(given))
  redis.call('ZADD', K.tenant .. fields.tenant .. ':jobs', 0, job)
  redis.call('ZADD', K.active, field(job, 'created_ms'), job)
  if field(job, 'expires_ms') then
    redis.call('ZADD', K.expiring, field(job, 'expires_ms'), job)
  end
  local ended = 0
  for _, name in ipairs({'succeeded', 'failed', 'cancelled', 'expired'}) do
    ended = ended + int(field(job, name))
  end
  add_pending(job, total - ended)
  advance(job)
  if fields.sealed == '0' then
    set(job, 'budget', budget)
    plan(job, PLAN, 0, 0)
  end
  return 'created'
end

-- A job that Redis has lost, as its objects tell: its undone chunks (as
-- push_reopened takes them), then field value ... -> 0 it is here | 1
function command.restore(job, undone, ...)
  if redis.call('EXISTS', K.job .. job) == 1 then return 0 end
  redis.call('DEL', K.reopened .. job)
  push_reopened(job, undone)
  command.create(job, 2 ^ 53, 2 ^ 53, '', ...)
  return 1
end

-- lease_ms, max_attempts, queue ... -> verdict, job, chunk, token, attempts, items, retry, poison,
-- job hash, the queue it came from if that has more | ''
function command.claim(lease_ms, max_attempts, ...)
  for _, queue in ipairs({...}) do
    while true do
      local popped = redis.call('ZPOPMIN', K.ready .. queue)
      if not popped[1] then break end
      local member = popped[1]
      local job, chunk = split(member)
      if redis.call('EXISTS', K.chunk .. member, K.job .. job) == 2 then
        redis.call('SET', K.clock .. queue, popped[2])
        local now = now_ms()
        -- Never below the clock: after a restart from an older file, no token comes twice.
        local token = math.max(int(field(job, 'fence')) + 1, now)
        set(job, 'fence', token)
        local attempts = redis.call('HINCRBY', K.chunk .. member, 'attempts', 1)
        redis.call('HSET', K.chunk .. member, 'state', 'claimed', 'token', token)
        redis.call('ZADD', K.leases, now + int(lease_ms), member)
        add(job, 'running', items_of(member))
        if field(job, 'status') == 'queued' then set(job, 'status', 'running') end
        if not field(job, 'started_ms') then set(job, 'started_ms', now) end
        local chunk_fields = redis.call('HMGET', K.chunk .. member, 'items', 'retry', 'poison')
        local verdict = chunk_fields[2] == '1' and 'retry' or 'run'
        if chunk == FINAL then
          verdict = 'finalize'
        elseif chunk == PLAN then
          verdict = 'plan'
        elseif field(job, 'stop') then
          verdict = field(job, 'stop')
        elseif attempts > int(max_attempts) then
          verdict = 'exhausted'
        end
        return {verdict, job, chunk, token, attempts, int(chunk_fields[1]), chunk_fields[2],
          chunk_fields[3] or '', redis.call('HGETALL', K.job .. job),
          redis.call('EXISTS', K.ready .. queue) == 1 and queue or ''}
      end
    end
  end
  return nil
end

-- -> 'lost' | 'held' | why the job is to stop
function command.heartbeat(job, chunk, token, lease_ms)
  if not holds(job, chunk, token) then return 'lost' end
  local member = job .. '/' .. chunk
  redis.call('ZREM', K.leases, member)  -- a write that a full Redis allows opens the way
  redis.call('ZADD', K.leases, now_ms() + int(lease_ms), member)
  return field(job, 'stop') or 'held'
end

-- Name the image a worker is about to run alone. -> 0 lease lost | 1
function command.suspect(job, chunk, token, index)
  if not holds(job, chunk, token) then return 0 end
  redis.call('HSET', K.chunk .. job .. '/' .. chunk, 'suspect', index)
  return 1
end

-- -> lost (0 | 1), queue in which something became ready | ''
function command.finish(job, chunk, token, succeeded, failed, cancelled, expired)
  if not holds(job, chunk, token) then return {1, ''} end
  local items = items_of(job .. '/' .. chunk)
  drop(job, chunk)
  add(job, 'running', -items)
  add_pending(job, -items)
  add(job, 'succeeded', int(succeeded))
  add(job, 'failed', int(failed))
  add(job, 'cancelled', int(cancelled))
  add(job, 'expired', int(expired))
  add(job, 'open', -1)
  local now = now_ms()
  local bucket = K.pace .. math.floor(now / PACE_MS)
  redis.call('INCRBY', bucket, items)
  redis.call('EXPIRE', bucket, PACE_TTL_S)
  local finished, chunks = add(job, 'finished', 1), int(field(job, 'chunks'))
  if finished * 2 >= chunks and not field(job, 'predicted_ms') then
    local spent = now - int(field(job, 'started_ms'))
    set(job, 'halfway_ms', now, 'predicted_ms', now + spent * (chunks - finished) / finished)
  end
  return {0, advance(job)}
end

-- Shards that the planner has written. A job that is to stop takes none and is sealed.
-- `after` is how many shards the planner knows of: fewer here mean that Redis came back from
-- an older file. -> lost (0 | 1), queue | '', sealed (0 | 1)
--               | 2, a key of the budget that is spent, 0: nothing was added
function command.extend(job, token, after, chunks, items, cursor, sealed)
  if not holds(job, PLAN, token) or field(job, 'chunks') ~= after then return {1, '', 0} end
  if field(job, 'stop') then
    sealed = '1'
  else
    local budget = field(job, 'budget') or ''
    local spent = overspent(budget, int(items))
    if spent then return {2, spent, 0} end
    spend(budget, int(items))
    redis.call('HSET', K.chunk .. job .. '/' .. PLAN, 'attempts', 1)  -- it gets on
    add(job, 'chunks', int(chunks))
    add(job, 'total', int(items))
    add_pending(job, int(items))
    set(job, 'cursor', cursor)
  end
  if sealed == '1' then
    set(job, 'sealed', 1)
    drop(job, PLAN)
  end
  return {0, advance(job), int(sealed)}
end

-- The planner's end without more shards; error (JSON) or '' . -> lost (0 | 1), queue | ''
function command.seal(job, token, error)
  if not holds(job, PLAN, token) then return {1, ''} end
  drop(job, PLAN)
  set(job, 'sealed', 1)
  if error ~= '' then set(job, 'error', error) end
  return {0, advance(job)}
end

-- Give a claim back, unfinished. counted = '0': the attempt was not the images' fault.
-- -> queue | ''
function command.release(job, chunk, token, delay_ms, counted)
  if not holds(job, chunk, token) then return '' end
  local queue = back_to_queue(job, chunk, int(delay_ms))
  if counted == '0' then redis.call('HINCRBY', K.chunk .. job .. '/' .. chunk, 'attempts', -1) end
  return queue
end

-- The end of a job: its final record is in S3 already. Then lane, id and JSON of each
-- delivery that tells of it.
function command.settle(job, token, status, finished_ms, ttl_s, ...)
  if not holds(job, FINAL, token) then return 0 end
  drop(job, FINAL)
  set(job, 'status', status, 'finished_ms', finished_ms)
  redis.call('HDEL', K.job .. job, 'shard')
  redis.call('ZREM', K.active, job)
  redis.call('ZREM', K.expiring, job)
  redis.call('EXPIRE', K.job .. job, ttl_s)
  redis.call('XADD', K.ended .. job, '*', 'status', status)
  redis.call('EXPIRE', K.ended .. job, ENDED_S)
  local predicted, halfway = int(field(job, 'predicted_ms')), int(field(job, 'halfway_ms'))
  if finished_ms - halfway > 1000 and halfway > 0 then
    local wrong = math.abs(predicted - finished_ms) / (finished_ms - halfway)
    redis.call('HINCRBYFLOAT', K.eta, 'error_sum', wrong)
    redis.call('HINCRBY', K.eta, 'jobs', 1)
  end
  local told = {...}
  for n = 1, #told, 3 do
    hooks.place(told[n], told[n + 1], told[n + 2], now_ms())
  end
  return 1
end

function command.stop(job, how)
  if not field(job, 'status') then return 0 end
  stop(job, how)
  return 1
end

-- Run chunks again, as push_reopened takes them. counts: how many items return to the queue.
-- -> 0 not a finished job | 1
function command.reopen(job, failed, cancelled, expired, chunks)
  if not field(job, 'finished_ms') then return 0 end
  redis.call('PERSIST', K.job .. job)
  redis.call('DEL', K.ended .. job)
  redis.call('HDEL', K.job .. job, 'finished_ms', 'stop', 'halfway_ms', 'expires_ms')
  set(job, 'status', 'queued', 'runs', (tonumber(field(job, 'runs')) or 1) + 1)
  add(job, 'failed', -int(failed))
  add(job, 'cancelled', -int(cancelled))
  add(job, 'expired', -int(expired))
  add_pending(job, int(failed) + int(cancelled) + int(expired))
  add(job, 'finished', -push_reopened(job, chunks))
  redis.call('ZADD', K.active, field(job, 'created_ms'), job)
  advance(job)
  return 1
end

-- Takes back expired leases, ends expired jobs, brings back what has waited long enough.
-- limit, queue ... -> leases taken back, jobs expired, then how many are ready in each queue
function command.sweep(limit, ...)
  local now = now_ms()
  local overdue = redis.call('ZRANGEBYSCORE', K.leases, '-inf', now, 'LIMIT', 0, limit)
  for _, member in ipairs(overdue) do
    redis.call('ZREM', K.leases, member)
    local job, chunk = split(member)
    if redis.call('EXISTS', K.chunk .. member, K.job .. job) == 2 then
      blame(member)
      local tries = int(redis.call('HGET', K.chunk .. member, 'attempts'))
      local wait_ms = tries < 2 and 0 or math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ^ (tries - 2))
      back_to_queue(job, chunk, wait_ms)
    end
  end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', K.delayed, '-inf', now, 'LIMIT', 0, limit)) do
    redis.call('ZREM', K.delayed, member)
    local job, chunk = split(member)
    if redis.call('EXISTS', K.chunk .. member, K.job .. job) == 2 then enqueue(job, chunk) end
  end
  local late = redis.call('ZRANGEBYSCORE', K.expiring, '-inf', now, 'LIMIT', 0, limit)
  for _, job in ipairs(late) do
    redis.call('ZREM', K.expiring, job)
    if field(job, 'status') then stop(job, 'expired') end
  end
  local answer = {#overdue, #late}
  for _, queue in ipairs({...}) do
    answer[#answer + 1] = redis.call('ZCARD', K.ready .. queue)
  end
  return answer
end

return command[ARGV[1]](unpack(ARGV, 2))
