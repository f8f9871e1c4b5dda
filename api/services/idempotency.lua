-- What stands behind an Idempotency-Key: a hash of
--   payload job token lease_ms expires_ms, and `answer` once the request has been answered.
-- `job`, the id of a job or a feedback, is chosen with the first request and never changes: whoever
-- goes on after a crash makes that one or finds it made, and there is one of an id.

local t = redis.call('TIME')
local NOW_MS = t[1] * 1000 + math.floor(t[2] / 1000)
local mark, name = KEYS[1], table.remove(ARGV, 1)

local function mine(token)
  return redis.call('HGET', mark, 'token') == token
    and redis.call('HEXISTS', mark, 'answer') == 0
end

local command = {}

-- -> {outcome, job, expires_ms, answer}
function command.begin(payload, job, token, lease_ms, ttl_ms)
  local held = redis.call('HMGET', mark, 'payload', 'job', 'lease_ms', 'expires_ms', 'answer')
  local lease = NOW_MS + lease_ms
  if not held[1] then
    local expires = NOW_MS + ttl_ms
    redis.call('HSET', mark, 'payload', payload, 'job', job, 'token', token,
      'lease_ms', lease, 'expires_ms', expires)
    redis.call('PEXPIREAT', mark, expires)
    return {'new', job, tostring(expires), ''}
  end
  if held[1] ~= payload then return {'other_payload', '', held[4], ''} end
  if held[5] then return {'answered', held[2], held[4], held[5]} end
  if tonumber(held[3]) > NOW_MS then return {'in_flight', '', held[4], ''} end
  redis.call('HSET', mark, 'token', token, 'lease_ms', lease)
  return {'taken_over', held[2], held[4], ''}
end

function command.renew(token, lease_ms)
  if not mine(token) then return 0 end
  redis.call('HSET', mark, 'lease_ms', NOW_MS + lease_ms)
  return 1
end

function command.answer(token, answer)
  if mine(token) then redis.call('HSET', mark, 'answer', answer) end
end

-- The next request goes on at once, with the same job.
function command.release(token)
  if mine(token) then redis.call('HSET', mark, 'lease_ms', 0) end
end

-- The key is free again.
function command.forget(token)
  if mine(token) then redis.call('DEL', mark) end
end

return command[name](unpack(ARGV))
