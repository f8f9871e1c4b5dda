-- Jobs: created, restored, stopped, and reopened once they are done.
--
-- Writes of a job: all that it is created with; status stop planned finished failed cancelled
--                  expired runs; reopening drops finished_ms stop halfway_ms expires_ms
-- Writes beside:   the tenant's jobs, active, expiring, reopened, ended

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
