-- What the scripts share: clocks, indexes, queues, events. This stands before each of them.
--
-- KEYS[1] begins all keys of a service (KEY below stands for it):
--   KEYjob:ID          hash: everything of a job but its pictures
--   KEYlog:ID          list of "time type detail": its changes of state
--   KEYstate:S         sorted set, scores 0: ids of the jobs in state S; KEYof:S:OWNER: those of one owner
--   KEYpolicies        set: all policies under which jobs were accepted
--   KEYlane:N:POLICY:  begins the queues of the jobs accepted under a policy:
--     owners             sorted set: who waits, by the credit at which each can pay its first job
--     paid               hash: credit that each of them has used up
--     credit             given so far to each owner that waited all the time, in megapixel-steps
--     passed             since when the turn of owners is not kept, for a loaded model
--     queue:OWNER        sorted set by -priority, then id, which is age
--     model:N:OWNER:M    the same, of one model
--   KEYrunning         sorted set by the end of the lease, on the clock of leases, KEYclock
--   KEYdeadlines       sorted set of unfinished jobs that have one
--   KEYexpired         list of jobs that a claim found past their deadline, for the next sweep to tell
--   KEYfinished        sorted set by time, for retention
--   KEYblob:SHA256     an encoded picture; KEYblob_refs: hash of how many jobs have it
--   KEYstream          events for other processes; the channel KEYlive says that there are some

local KEY = KEYS[1]
local STREAM_LENGTH = 20000

-- Milliseconds since the epoch by the server's clock, for people and deadlines.
local function wall()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function int(number) return string.format('%.0f', number) end
local function real(number) return string.format('%.17g', number) end

-- Milliseconds by which leases are judged: the server's clock, except that it never goes back and
-- moves by MOST_STEP at most from call to call. So no lease is lost to a clock that is set, nor to a
-- server that was away; while anybody is there, renewals and sweeps let it run.
local MOST_STEP = 3000
local function lease_clock()
  local raw = wall()
  local old = redis.call('HMGET', KEY .. 'clock', 'raw', 'time')
  local step = raw - (old[1] or raw)
  local time = (old[2] or raw) + math.min(math.max(step, 0), MOST_STEP)
  redis.call('HSET', KEY .. 'clock', 'raw', int(raw), 'time', int(time))
  return time
end

local function job_key(id) return KEY .. 'job:' .. id end

-- The named fields of a job as a table; nothing when there is no such job.
local function read_job(id, ...)
  local names = { 'state', 'owner', ... }
  local values = redis.call('HMGET', job_key(id), unpack(names))
  if not values[1] then return nil end
  local job = {}
  for i, name in ipairs(names) do job[name] = values[i] or '' end
  return job
end

-- Tells other processes. They read the stream after the script, so one call to the channel is enough.
local told = false
local function tell(origin, ...)
  redis.call('XADD', KEY .. 'stream', 'MAXLEN', '~', STREAM_LENGTH, '*', 'origin', origin, ...)
  if not told then redis.call('PUBLISH', KEY .. 'live', '') end
  told = true
end

local function log(id, time, kind, detail)
  redis.call('RPUSH', KEY .. 'log:' .. id, int(time) .. ' ' .. kind .. ' ' .. detail)
end

-- Moves a job between the indexes, and writes it down. `from` is nil for a new job.
local function set_state(origin, id, owner, from, to, time, kind, detail)
  if from then
    redis.call('ZREM', KEY .. 'state:' .. from, id)
    redis.call('ZREM', KEY .. 'of:' .. from .. ':' .. owner, id)
  end
  redis.call('ZADD', KEY .. 'state:' .. to, 0, id)
  redis.call('ZADD', KEY .. 'of:' .. to .. ':' .. owner, 0, id)
  redis.call('HSET', job_key(id), 'state', to)
  log(id, time, kind, detail)
  tell(origin, 'kind', 'state', 'job', id, 'owner', owner, 'state', to, 'time', int(time), 'detail', detail)
end

local function lane_of(policy) return KEY .. 'lane:' .. #policy .. ':' .. policy .. ':' end

local function model_queue(lane, owner, model)
  return lane .. 'model:' .. #owner .. ':' .. owner .. ':' .. model
end

local QUEUE_FIELDS = { 'policy', 'priority', 'model', 'cost' }

-- What a job costs its owner; jobs that cost nothing take turns as well.
local function charge(cost) return math.max(tonumber(cost) or 0, 0.001) end

-- Credit given to each owner that waited all the time, in megapixel-steps.
local function credit(lane) return tonumber(redis.call('GET', lane .. 'credit') or 0) end

-- Lists an owner by the credit at which it can pay for its first job; one without jobs is forgotten.
local function relist(lane, owner, paid)
  local first = redis.call('ZRANGE', lane .. 'queue:' .. owner, 0, 0)[1]
  if not first then
    redis.call('ZREM', lane .. 'owners', owner)
    redis.call('HDEL', lane .. 'paid', owner)
    return
  end
  redis.call('HSET', lane .. 'paid', owner, real(paid))
  local cost = redis.call('HGET', job_key(first), 'cost')
  redis.call('ZADD', lane .. 'owners', real(paid + charge(cost)), owner)
end

local function paid_by(lane, owner)
  return tonumber(redis.call('HGET', lane .. 'paid', owner) or credit(lane))
end

local function enqueue(id, job, refund)
  local lane = lane_of(job.policy)
  local paid = paid_by(lane, job.owner) - refund
  redis.call('SADD', KEY .. 'policies', job.policy)
  redis.call('ZADD', lane .. 'queue:' .. job.owner, -job.priority, id)
  redis.call('ZADD', model_queue(lane, job.owner, job.model), -job.priority, id)
  redis.call('INCRBYFLOAT', KEY .. 'queued_cost', job.cost)
  relist(lane, job.owner, paid)
end

-- Takes a job out of its queue; its owner pays so much.
local function dequeue(id, job, payment)
  local lane = lane_of(job.policy)
  local paid = paid_by(lane, job.owner) + payment
  redis.call('ZREM', lane .. 'queue:' .. job.owner, id)
  redis.call('ZREM', model_queue(lane, job.owner, job.model), id)
  redis.call('INCRBYFLOAT', KEY .. 'queued_cost', -job.cost)
  if redis.call('ZCARD', KEY .. 'state:queued') <= 1 then redis.call('DEL', KEY .. 'queued_cost') end
  relist(lane, job.owner, paid)
  return paid
end

-- Ends a job that is in no queue and has no lease any more.
local function end_job(origin, id, owner, from, to, time, code, message)
  redis.call('HSET', job_key(id), 'finished', int(time), 'error_code', code, 'error', message)
  redis.call('ZREM', KEY .. 'deadlines', id)
  redis.call('ZADD', KEY .. 'finished', int(time), id)
  set_state(origin, id, owner, from, to, time, to, message)
end

-- What becomes of a running job whose worker is gone or gives it up. Gives its state.
local function return_job(origin, id, counted, reason)
  local job = read_job(id, 'attempt', 'uncounted', 'max_attempts', 'cancel', unpack(QUEUE_FIELDS))
  local time = wall()
  redis.call('ZREM', KEY .. 'running', id)
  if job.cancel ~= '' and job.cancel ~= 'none' then
    end_job(origin, id, job.owner, 'running', 'cancelled', time, '', '')
    return 'cancelled'
  end
  if not counted then job.uncounted = redis.call('HINCRBY', job_key(id), 'uncounted', 1) end
  if counted and job.attempt - (tonumber(job.uncounted) or 0) >= tonumber(job.max_attempts) then
    local times = job.max_attempts == '1' and 'once' or job.max_attempts .. ' times'
    end_job(origin, id, job.owner, 'running', 'failed', time, 'internal', reason .. ' (tried ' .. times .. ')')
    return 'failed'
  end
  enqueue(id, job, charge(job.cost))
  set_state(origin, id, job.owner, 'running', 'queued', time, 'requeued', reason)
  return 'queued'
end

-- Whether the worker still has the job in that attempt.
local function holds(job, attempt, worker)
  return job and job.state == 'running' and job.attempt == attempt and job.worker == worker
end
