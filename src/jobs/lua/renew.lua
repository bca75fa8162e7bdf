-- Prolongs a lease. ARGV: id, attempt, worker, milliseconds. Gives {held, cancel mode}.

local id = ARGV[1]
local job = read_job(id, 'attempt', 'worker', 'cancel')
if not holds(job, ARGV[2], ARGV[3]) then return { '0', 'none' } end
redis.call('ZADD', KEY .. 'running', int(lease_clock() + ARGV[4]), id)
return { '1', job.cancel }
