-- Ids of queued jobs in the order in which they start. ARGV: limit.
-- Owners lie in a heap by the credit at which each can pay its next job, as claim chooses.

local limit, answer = tonumber(ARGV[1]), {}

local function before(a, b)
  if a.tag ~= b.tag then return a.tag < b.tag end
  return a.name < b.name
end

local function sink(heap, at)
  while true do
    local least = at
    for child = 2 * at, 2 * at + 1 do
      if heap[child] and before(heap[child], heap[least]) then least = child end
    end
    if least == at then return end
    heap[at], heap[least] = heap[least], heap[at]
    at = least
  end
end

local function load(owner)
  owner.id = redis.call('ZRANGE', owner.lane .. 'queue:' .. owner.name, owner.next, owner.next)[1]
  if not owner.id then return false end
  owner.next = owner.next + 1
  owner.cost = charge(redis.call('HGET', job_key(owner.id), 'cost'))
  owner.tag = owner.paid + owner.cost
  return true
end

local heap = {}
for _, policy in ipairs(redis.call('SMEMBERS', KEY .. 'policies')) do
  local lane = lane_of(policy)
  for _, name in ipairs(redis.call('ZRANGE', lane .. 'owners', 0, limit - 1)) do
    local owner = { name = name, lane = lane, paid = paid_by(lane, name), next = 0 }
    if load(owner) then heap[#heap + 1] = owner end
  end
end
for at = math.floor(#heap / 2), 1, -1 do sink(heap, at) end
while #answer < limit and heap[1] do
  local owner = heap[1]
  answer[#answer + 1] = owner.id
  owner.paid = owner.paid + owner.cost
  if not load(owner) then
    heap[1] = heap[#heap]
    heap[#heap] = nil
  end
  sink(heap, 1)
end
return answer
