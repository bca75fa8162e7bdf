-- A worker gives its job up. ARGV: origin, id, attempt, worker, whether the attempt counts, reason.
-- Gives the job's state, or "lost".

local job = read_job(ARGV[2], 'attempt', 'worker')
if not holds(job, ARGV[3], ARGV[4]) then return 'lost' end
return return_job(ARGV[1], ARGV[2], ARGV[5] == '1', ARGV[6])
