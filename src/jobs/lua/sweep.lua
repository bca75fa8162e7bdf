-- What time does to jobs: leases that ran out, deadlines, retention; a bounded number a call.
-- ARGV: origin, milliseconds and bytes for which results are kept (0: for ever).
-- Gives {"1" when there is more, id, owner, state, id, owner, state, ...}.

local origin, max_age, max_bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local BATCH = 100
local answer, count = { '0' }, 0

local function changed(id, owner, state)
  answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = id, owner, state
end

local function due(key, limit)
  local ids = redis.call('ZRANGEBYSCORE', key, '-inf', int(limit), 'LIMIT', 0, BATCH)
  if #ids == BATCH then answer[1] = '1' end
  return ids
end

local function take_back()
  for _, id in ipairs(due(KEY .. 'running', lease_clock())) do
    local job = read_job(id, 'worker')
    if not job then
      redis.call('ZREM', KEY .. 'running', id)
    else
      changed(id, job.owner, return_job(origin, id, true, 'worker ' .. job.worker .. ' stopped answering'))
    end
  end
end

local function expire(time)
  for _, id in ipairs(redis.call('LRANGE', KEY .. 'expired', 0, BATCH - 1)) do
    local job = read_job(id)
    if job then changed(id, job.owner, job.state) end
  end
  redis.call('LTRIM', KEY .. 'expired', BATCH, -1)
  for _, id in ipairs(due(KEY .. 'deadlines', time)) do
    local job = read_job(id, unpack(QUEUE_FIELDS))
    redis.call('ZREM', KEY .. 'deadlines', id)
    if job and job.state == 'queued' then dequeue(id, job, 0) end
    if job and (job.state == 'queued' or job.state == 'running') then
      redis.call('ZREM', KEY .. 'running', id)
      end_job(origin, id, job.owner, job.state, 'expired', time, 'cancelled', 'not finished by its deadline')
      changed(id, job.owner, 'expired')
    end
  end
end

local function drop_picture(sha256)
  if redis.call('HINCRBY', KEY .. 'blob_refs', sha256, -1) > 0 then return end
  redis.call('HDEL', KEY .. 'blob_refs', sha256)
  redis.call('DEL', KEY .. 'blob:' .. sha256)
end

local function forget(id)
  redis.call('ZREM', KEY .. 'finished', id)
  local job = read_job(id, 'results', 'result_bytes', 'client_key', 'repeat_key')
  if not job then return end
  for _, file in ipairs(job.results ~= '' and cjson.decode(job.results) or {}) do drop_picture(file.sha256) end
  redis.call('DECRBY', KEY .. 'result_bytes', tonumber(job.result_bytes) or 0)
  if job.client_key ~= '' and redis.call('GET', job.client_key) == id then redis.call('DEL', job.client_key) end
  if job.repeat_key ~= '' then redis.call('DEL', job.repeat_key) end
  redis.call('ZREM', KEY .. 'state:' .. job.state, id)
  redis.call('ZREM', KEY .. 'of:' .. job.state .. ':' .. job.owner, id)
  redis.call('DEL', job_key(id), KEY .. 'log:' .. id)
end

local function retain(time)
  if max_age > 0 then
    for _, id in ipairs(due(KEY .. 'finished', time - max_age)) do forget(id) end
  end
  for _ = 1, BATCH do
    if max_bytes == 0 or tonumber(redis.call('GET', KEY .. 'result_bytes') or 0) <= max_bytes then return end
    local oldest = redis.call('ZRANGE', KEY .. 'finished', 0, 0)
    if not oldest[1] then return end
    forget(oldest[1])
  end
  answer[1] = '1'
end

take_back()
local time = wall()
expire(time)
retain(time)
return answer
