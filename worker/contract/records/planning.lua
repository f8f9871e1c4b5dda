-- Planning: chunks exist from planning to finishing, at most WINDOW of a job at a time. `planned` is
-- the cursor over the manifest's shards; the list `reopened` holds what is to run again.
--
-- Writes of a job:   planned open vtime; of its planner: chunks total cursor sealed error
-- Writes of a chunk: state token attempts items retry
-- Writes beside:     ready, reopened

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
