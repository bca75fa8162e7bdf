-- Commits an attempt, once: the first of a lease that is still held. Its pictures were stored before.
-- ARGV: token of the call, origin, id, attempt, worker, state, error code, error, results as JSON,
-- their bytes, then the SHA-256 of each picture.
-- Gives "committed", "lost", or "missing" when a picture is not there (any more): store them again.

local token, origin, id, attempt, worker, state = unpack(ARGV, 1, 6)
local job = read_job(id, 'attempt', 'worker', 'committed')
if job and job.committed == token then return 'committed' end -- the answer was lost on the way
if not holds(job, attempt, worker) then return 'lost' end

for i = 11, #ARGV do
  if redis.call('EXISTS', KEY .. 'blob:' .. ARGV[i]) == 0 then return 'missing' end
end
for i = 11, #ARGV do
  redis.call('PERSIST', KEY .. 'blob:' .. ARGV[i])
  redis.call('HINCRBY', KEY .. 'blob_refs', ARGV[i], 1)
end
redis.call('ZREM', KEY .. 'running', id)
redis.call('HSET', job_key(id), 'results', ARGV[9], 'result_bytes', ARGV[10], 'committed', token)
redis.call('INCRBY', KEY .. 'result_bytes', ARGV[10])
end_job(origin, id, job.owner, 'running', state, wall(), ARGV[7], ARGV[8])
return 'committed'
