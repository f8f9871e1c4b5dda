-- Sweep: overdue leases, delayed chunks and jobs past their time.
--
-- Writes of a chunk: strike:N poison attempts; by claims.lua and jobs.lua what those write
-- Writes beside:     leases, delayed, expiring

local STRIKES = 2            -- times a worker died on one image before it is set aside
local BACKOFF_MS = 1000
local MAX_BACKOFF_MS = 60000

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
