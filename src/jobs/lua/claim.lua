-- Gives the next job to a worker. ARGV: token of the call, origin, worker, model that it has loaded,
-- milliseconds of the lease, milliseconds of patience, policy.
-- Gives the job's hash, or nothing. The same token again gives the same job.
--
-- Fair between owners as FairQueue is: deficit round robin in rounds as small as can be. All who wait
-- are given credit at the same rate; whoever is first to have saved up the cost of its first job is next.

local token, origin, worker, loaded = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease, patience, policy = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local OWNERS = 64 -- that are looked at, at most
local lane = lane_of(policy)

-- The next job of the loaded model, among the owners whose turn is soon.
local function next_of_model()
  local best, best_tag
  local owners = redis.call('ZRANGE', lane .. 'owners', 0, OWNERS - 1)
  for _, owner in ipairs(owners) do
    local id = redis.call('ZRANGE', model_queue(lane, owner, loaded), 0, 0)[1]
    if id then
      local tag = paid_by(lane, owner) + charge(redis.call('HGET', job_key(id), 'cost'))
      if not best or tag < best_tag then best, best_tag = id, tag end
    end
  end
  return best
end

-- The id, and whether it is the turn of its owner. Others go first for so long as patience lasts.
local function choose(clock)
  local owner = redis.call('ZRANGE', lane .. 'owners', 0, 0)[1]
  if not owner then return nil end
  local id = redis.call('ZRANGE', lane .. 'queue:' .. owner, 0, 0)[1]
  if loaded == '' or redis.call('HGET', job_key(id), 'model') == loaded then return id, true end
  local other = next_of_model()
  if not other then return id, true end
  local passed = tonumber(redis.call('GET', lane .. 'passed') or clock)
  if clock - passed >= patience then return id, true end
  redis.call('SET', lane .. 'passed', int(passed))
  return other, false
end

local function start(id, job, in_turn, clock, time)
  local paid = dequeue(id, job, charge(job.cost))
  if in_turn then -- whoever was let in front has to pay it back, the others have not
    redis.call('SET', lane .. 'credit', real(math.max(credit(lane), paid)))
    redis.call('DEL', lane .. 'passed')
  end
  redis.call('HSET', job_key(id), 'attempt', job.attempt + 1, 'worker', worker, 'started', int(time),
    'cancel', 'none')
  redis.call('ZADD', KEY .. 'running', int(clock + lease), id)
  redis.call('SET', KEY .. 'call:' .. token, id, 'EX', 300)
  set_state(origin, id, job.owner, 'queued', 'running', time, 'running', worker)
end

local before = redis.call('GET', KEY .. 'call:' .. token)
if before then return redis.call('HGETALL', job_key(before)) end

local clock, time = lease_clock(), wall()
for _ = 1, 32 do -- bounds the work of one call: jobs past their deadline end on the way
  local id, in_turn = choose(clock)
  if not id then return false end
  local job = read_job(id, 'attempt', 'deadline', unpack(QUEUE_FIELDS))
  if tonumber(job.deadline) == 0 or time < tonumber(job.deadline) then
    start(id, job, in_turn, clock, time)
    return redis.call('HGETALL', job_key(id))
  end
  dequeue(id, job, 0)
  end_job('', id, job.owner, 'queued', 'expired', time, 'cancelled', 'not begun by its deadline')
  redis.call('RPUSH', KEY .. 'expired', id) -- for the next sweep to tell
end
return false
