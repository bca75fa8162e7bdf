-- Accepts all jobs or none. ARGV: token of the call, origin, then JOB_FIELDS of each job.
-- Gives {"ok", id, repeated, id, repeated, ...}, or {"conflict", number of the job from 0}.
-- The same token again (the answer was lost on the way) gives the same answer.

local JOB_FIELDS = { 'random', 'asked', 'owner', 'priority', 'cost', 'pictures', 'model', 'policy',
  'client_id', 'idempotency_key', 'digest', 'deadline', 'max_attempts' }

local token, origin = ARGV[1], ARGV[2]
local ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

local function base32(value, digits)
  local text = {}
  for i = digits, 1, -1 do
    local digit = value % 32
    text[i] = ALPHABET:sub(digit + 1, digit + 1)
    value = (value - digit) / 32
  end
  return table.concat(text)
end

-- Ids sort by acceptance, also within a millisecond and when the clock goes back: time, a counter, chance.
local ids = redis.call('HMGET', KEY .. 'ids', 'time', 'count')
local id_time, id_count = tonumber(ids[1] or 0), tonumber(ids[2] or 0)
local time = wall()
if time > id_time then id_time, id_count = time, 0 end
local function new_id(random)
  id_count = id_count + 1
  if id_count >= 2 ^ 20 then id_time, id_count = id_time + 1, 0 end
  return base32(id_time, 10) .. base32(id_count, 4) .. random
end

local function repeat_key(job)
  return KEY .. 'repeat:' .. #job.owner .. ':' .. job.owner .. ':' .. job.idempotency_key
end

local function read_jobs()
  local jobs = {}
  for at = 3, #ARGV, #JOB_FIELDS do
    local job = {}
    for i, name in ipairs(JOB_FIELDS) do job[name] = ARGV[at + i - 1] end
    jobs[#jobs + 1] = job
  end
  return jobs
end

-- Finds the jobs that there are already; gives the number of one whose key means something else.
local function find_repeated(jobs)
  local fresh = {}
  for number, job in ipairs(jobs) do
    if job.idempotency_key ~= '' then
      local key = repeat_key(job)
      local known = redis.call('HMGET', key, 'id', 'digest')
      local digest = known[2] or (fresh[key] and fresh[key].digest)
      if digest and digest ~= job.digest then return number - 1 end
      job.id, job.same = known[1] or nil, fresh[key]
      fresh[key] = fresh[key] or job
    end
  end
end

local function count_usage(job)
  local total = redis.call('HMGET', KEY .. 'asked:' .. job.owner, 'pictures', 'cost')
  local pictures, cost = (total[1] or 0) + job.pictures, (total[2] or 0) + job.cost
  redis.call('HSET', KEY .. 'asked:' .. job.owner, 'pictures', int(pictures), 'cost', real(cost))
  redis.call('ZADD', KEY .. 'usage:' .. job.owner, int(id_time),
    job.id .. ' ' .. int(pictures) .. ' ' .. real(cost))
end

local function accept(job)
  local key = job_key(job.id)
  redis.call('HSET', key, 'id', job.id, 'attempt', 0, 'created', int(time))
  for _, name in ipairs(JOB_FIELDS) do
    if name ~= 'random' and name ~= 'digest' and name ~= 'pictures' then
      redis.call('HSET', key, name, job[name])
    end
  end
  if job.idempotency_key ~= '' then
    redis.call('HSET', repeat_key(job), 'id', job.id, 'digest', job.digest)
    redis.call('HSET', key, 'repeat_key', repeat_key(job))
  end
  if job.client_id ~= '' then
    local name = KEY .. 'client:' .. #job.owner .. ':' .. job.owner .. ':' .. job.client_id
    redis.call('SET', name, job.id)
    redis.call('HSET', key, 'client_key', name)
  end
  if tonumber(job.deadline) > 0 then redis.call('ZADD', KEY .. 'deadlines', job.deadline, job.id) end
  enqueue(job.id, job, 0)
  count_usage(job)
  set_state(origin, job.id, job.owner, nil, 'queued', time, 'queued', '')
end

local before = redis.call('GET', KEY .. 'call:' .. token)
if before then return cjson.decode(before) end

local jobs = read_jobs()
local conflict = find_repeated(jobs)
if conflict then return { 'conflict', int(conflict) } end

local answer = { 'ok' }
for _, job in ipairs(jobs) do
  local repeated = job.id or job.same
  if job.same then job.id = job.same.id end
  if not repeated then
    job.id = new_id(job.random)
    accept(job)
  end
  answer[#answer + 1] = job.id
  answer[#answer + 1] = repeated and '1' or '0'
end
redis.call('HSET', KEY .. 'ids', 'time', int(id_time), 'count', int(id_count))
redis.call('SET', KEY .. 'call:' .. token, cjson.encode(answer), 'EX', 300)
return answer
