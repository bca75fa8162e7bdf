-- How many jobs there are. ARGV: the states. Gives the number in each, then the megapixel-steps that wait.

local answer = {}
for i, state in ipairs(ARGV) do answer[i] = int(redis.call('ZCARD', KEY .. 'state:' .. state)) end
answer[#answer + 1] = redis.call('GET', KEY .. 'queued_cost') or '0'
return answer
