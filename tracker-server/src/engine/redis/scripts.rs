//! The scripts that Redis runs, one at a time.

/// Renews a lease and lists all that stand. Keys: own record, the set of ids, life, revision. Arguments: own id, record,
/// lease in ms, prefix of records, a random number for the first life.
pub(super) const BEAT: &str = r"#!lua flags=allow-oom
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local had = redis.call('EXISTS', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 2 * tonumber(ARGV[3]))
redis.call('SET', KEYS[3], ARGV[5], 'NX')
local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local record = redis.call('GET', ARGV[4] .. id)
  if record then found[#found + 1] = id; found[#found + 1] = record end
end
return {had, redis.call('GET', KEYS[3]), redis.call('GET', KEYS[4]) or '0', found}
";

/// Finds or takes a home. Keys: the home, the record of who is to have it. Arguments: the id of that one, prefix of records, ms until it is forgotten.
pub(super) const CLAIM: &str = r"#!lua flags=allow-oom
local held = redis.call('GET', KEYS[1])
local owner, epoch
if held then owner, epoch = string.match(held, '^(%x+) (%d+)$') end
if owner and (owner == ARGV[1] or redis.call('EXISTS', ARGV[2] .. owner) == 1) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {owner, epoch}
end
if redis.call('EXISTS', KEYS[2]) == 0 then return {} end
local time = redis.call('TIME')
local next = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), (tonumber(epoch) or 0) + 1)
epoch = string.format('%.0f', next)
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. epoch, 'PX', ARGV[3])
return {ARGV[1], epoch}
";

/// Gives a home away, or up where no new one is named. Keys: the home. Arguments: own id, new id or nothing, ms until it is
/// forgotten.
pub(super) const GIVE: &str = r"#!lua flags=allow-oom
local held = redis.call('GET', KEYS[1])
local owner, epoch
if held then owner, epoch = string.match(held, '^(%x+) (%d+)$') end
if owner ~= ARGV[1] then return {} end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]); return {} end
local time = redis.call('TIME')
local next = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), tonumber(epoch) + 1)
epoch = string.format('%.0f', next)
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. epoch, 'PX', ARGV[3])
return {ARGV[2], epoch}
";

/// Keeps the check of the secret. Keys: the check. Arguments: own check, ms until it is forgotten.
pub(super) const AGREE: &str = r"#!lua flags=allow-oom
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";

/// Begins scripts that write although Redis has no memory left.
pub(super) const ALLOW_OOM: &str = "#!lua flags=allow-oom\n";

/// Enters a swarm at the end of the list of changes. All scripts that use it have these keys: publication, removal, changes,
/// revision; and these arguments: swarm, maximum number of entries.
pub(super) const NOTE: &str = r"
local function note(swarm)
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local last = tonumber(redis.call('GET', KEYS[4]) or '0') or 0
  local revision = string.format('%.0f', math.max(now, last + 1))
  redis.call('SET', KEYS[4], revision)
  redis.call('ZADD', KEYS[3], revision, swarm)
  local beyond = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[2])
  if beyond > 0 then redis.call('ZPOPMIN', KEYS[3], beyond) end
end
";

/// Publishes; 0 if a removal stands. More arguments: bytes, ms until they are forgotten, prefix of publications, `1` if the
/// publisher brings it back, swarms that are let go. Without any to let go, the first write is that of the bytes, which Redis
/// refuses when it has no memory left.
pub(super) const PUBLISH: &str = r"
if ARGV[6] ~= '1' and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
for at = 7, #ARGV do redis.call('DEL', ARGV[5] .. ARGV[at]) end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
redis.call('DEL', KEYS[2])
note(ARGV[1])
for at = 7, #ARGV do note(ARGV[at]) end
return 1
";

/// Removes. More arguments: owner, ms until it is forgotten.
pub(super) const REMOVE: &str = r"
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
note(ARGV[1])
return 1
";

/// Says what is held and for how long, and enters it in the list of changes if it fell out of that. More arguments: ms that a
/// publication is held from now on, or nothing.
pub(super) const REFRESH: &str = r"
local kind = 0
if redis.call('EXISTS', KEYS[1]) == 1 then kind = 1
elseif redis.call('EXISTS', KEYS[2]) == 1 then kind = 2
else return {0, 0} end
if kind == 1 and ARGV[3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
if not redis.call('ZSCORE', KEYS[3], ARGV[1]) then note(ARGV[1]) end
return {kind, redis.call('PTTL', KEYS[kind])}
";
