-- What an owner has asked for. ARGV: owner, since (milliseconds). Gives {pictures, megapixel-steps}.
-- Each acceptance wrote the sums up to it, so a difference answers. What is older than 40 days goes.

local owner, since = ARGV[1], ARGV[2]
local key = KEY .. 'usage:' .. owner
local total = redis.call('HMGET', KEY .. 'asked:' .. owner, 'pictures', 'cost')
local last = redis.call('ZREVRANGEBYSCORE', key, '(' .. since, '-inf', 'LIMIT', 0, 1)[1]
local pictures, cost = 0, 0
if last then
  local a, b = last:match('^%S+ (%S+) (%S+)$')
  pictures, cost = tonumber(a), tonumber(b)
end
local old = redis.call('ZREVRANGEBYSCORE', key, int(wall() - 40 * 86400000), '-inf', 'LIMIT', 0, 1, 'WITHSCORES')
if old[2] then redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. old[2]) end
return { int((total[1] or 0) - pictures), real((total[2] or 0) - cost) }
