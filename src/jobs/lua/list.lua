-- Jobs, newest first. ARGV: limit, id that all are smaller than or "", "1" and an owner or "0" and "",
-- then the states. Gives the hash of each.

local limit, before = tonumber(ARGV[1]), ARGV[2]
local from = before == '' and '+' or '(' .. before
local ids = {}
for i = 5, #ARGV do
  local index = ARGV[3] == '1' and 'of:' .. ARGV[i] .. ':' .. ARGV[4] or 'state:' .. ARGV[i]
  for _, id in ipairs(redis.call('ZREVRANGEBYLEX', KEY .. index, from, '-', 'LIMIT', 0, limit)) do
    ids[#ids + 1] = id
  end
end
table.sort(ids, function(a, b) return a > b end)
local jobs = {}
for i = 1, math.min(limit, #ids) do jobs[i] = redis.call('HGETALL', job_key(ids[i])) end
return jobs
