-- Claims: a chunk is leased to one worker, and what came of it is counted once.
--
-- Writes of a job:   fence status started_ms running succeeded failed cancelled expired finished
--                    open halfway_ms predicted_ms; at its end finished_ms, and it drops shard
-- Writes of a chunk: state token attempts suspect
-- Writes beside:     clock, leases, delayed, pace, eta, active, expiring, ended, deliveries

local PACE_MS = 10000        -- throughput is counted in buckets of this length
local PACE_TTL_S = 120

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
