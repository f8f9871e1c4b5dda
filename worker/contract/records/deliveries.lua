-- Deliveries to webhooks. A lane is a queue of deliveries to one receiver: who sends from it
-- holds a lease on it, so one delivery of a lane is under way at a time, and a receiver that
-- is slow or away holds up nobody else.

local hooks = {}

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A lane that nobody holds waits for the next try of its first delivery.
local function wait(lane)
  if redis.call('ZSCORE', K.hooks_leased, lane) then return end
  local first = redis.call('ZRANGE', K.hook_lane .. lane, 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', K.hooks_due, first[2], lane)
  else
    redis.call('ZREM', K.hooks_due, lane)
  end
end

-- -> 0 it is here already | 1
function hooks.place(lane, id, body, due_ms)
  if not redis.call('SET', K.delivery .. id, body, 'NX') then return 0 end
  redis.call('ZADD', K.hook_lane .. lane, due_ms, id)
  wait(lane)
  return 1
end

-- Lease lanes whose time has come. -> lane, token, JSON of its first delivery, ...
function hooks.take(limit, lease_ms)
  local now = now_ms()
  for _, lane in ipairs(redis.call('ZRANGEBYSCORE', K.hooks_leased, '-inf', now)) do
    redis.call('ZREM', K.hooks_leased, lane)
    redis.call('HDEL', K.hooks_tokens, lane)
    wait(lane)
  end
  local taken = {}
  for _, lane in ipairs(redis.call('ZRANGEBYSCORE', K.hooks_due, '-inf', now, 'LIMIT', 0, limit)) do
    local id = redis.call('ZRANGE', K.hook_lane .. lane, 0, 0)[1]
    local body = redis.call('GET', K.delivery .. id)
    redis.call('ZREM', K.hooks_due, lane)
    if body then
      local token = tostring(redis.call('INCR', K.hooks_fence))
      redis.call('ZADD', K.hooks_leased, now + lease_ms, lane)
      redis.call('HSET', K.hooks_tokens, lane, token)
      for _, part in ipairs({lane, token, body}) do taken[#taken + 1] = part end
    else  -- Redis has lost it; S3 brings it back
      redis.call('ZREM', K.hook_lane .. lane, id)
      wait(lane)
    end
  end
  return taken
end

-- Give a lane back: its delivery has ended (body '') or is to be tried again at due_ms.
-- -> 0 the lease was lost | 1
function hooks.done(lane, token, id, body, due_ms)
  if redis.call('HGET', K.hooks_tokens, lane) ~= token then return 0 end
  redis.call('HDEL', K.hooks_tokens, lane)
  redis.call('ZREM', K.hooks_leased, lane)
  if body == '' then
    redis.call('DEL', K.delivery .. id)
    redis.call('ZREM', K.hook_lane .. lane, id)
  else
    redis.call('SET', K.delivery .. id, body)
    redis.call('ZADD', K.hook_lane .. lane, due_ms, id)
  end
  wait(lane)
  return 1
end
