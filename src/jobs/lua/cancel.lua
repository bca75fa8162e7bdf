-- Ends a queued job, asks a running one to end. ARGV: origin, id, mode ("drop" or "interrupt").
-- Gives the job's state, or "missing".

local origin, id, mode = ARGV[1], ARGV[2], ARGV[3]
local job = read_job(id, 'cancel', unpack(QUEUE_FIELDS))
if not job then return 'missing' end
if job.state == 'queued' then
  dequeue(id, job, 0)
  end_job(origin, id, job.owner, 'queued', 'cancelled', wall(), '', '')
  return 'cancelled'
end
if job.state == 'running' and job.cancel ~= 'drop' and job.cancel ~= mode then
  redis.call('HSET', job_key(id), 'cancel', mode)
  log(id, wall(), 'cancel_requested', mode)
  tell(origin, 'kind', 'cancel', 'job', id, 'mode', mode)
end
return job.state
