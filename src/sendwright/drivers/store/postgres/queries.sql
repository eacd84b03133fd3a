-- Statements of the PostgreSQL store. Rows come as arrays of one type each, one per column, which `unnest` puts side by side: a fixed
-- number of statements per flush. No condition on attempts but the one that joins them: any other would tempt the planner to read by that
-- one, and to compare each with each. Arrays are sorted by id where rows are locked, and joins begin at them (connections.py sees to
-- that), so that no two flushes ever wait for each other in a circle. The order of locks is: notifications, messages, waits.

-- name: plan_fresh
-- The first committed plan wins: of those that exist already nothing is written; but, with $49, over rows that only stand for a
-- cancellation (a stranger's cancels nothing). Returns the ids that were planned by it.
with n as (
  insert into notifications (id, tenant, at, priority, category, on_doubt, send_at, expires_at, key, process, number, messages, content, metadata, trace, type, planned)
  select *, true from unnest($1::text[], $2::text[], $3::bigint[], $4::smallint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::text[],
    $10::text[], $11::bigint[], $12::integer[], $13::text[], $14::text[], $15::text[], $16::text[])
  on conflict (id) do update set
    cancelled_at = case when notifications.tenant = excluded.tenant then notifications.cancelled_at end, tenant = excluded.tenant, at = excluded.at,
    priority = excluded.priority, category = excluded.category, on_doubt = excluded.on_doubt, send_at = excluded.send_at, expires_at = excluded.expires_at,
    key = excluded.key, process = excluded.process, number = excluded.number, messages = excluded.messages, content = excluded.content,
    metadata = excluded.metadata, trace = excluded.trace, type = excluded.type, planned = true
  where not notifications.planned and $49::boolean
  returning id
), m as (
  insert into messages (id, tenant, state, priority, on_doubt, expires_at, accepted_at, updated_at, recipient, channel, address, reason, detail, dead, steps, about)
  select x.id, x.tenant, x.state, x.priority, x.on_doubt, x.expires_at, x.at, x.at, x.recipient, x.channel, x.address, x.reason, x.detail, x.state = 50, x.steps, x.about
  from unnest($17::text[], $18::text[], $19::text[], $20::smallint[], $21::smallint[], $22::text[], $23::bigint[], $24::bigint[], $25::text[],
    $26::text[], $27::text[], $28::text[], $29::text[], $30::text[], $31::text[])
    as x (notification, id, tenant, state, priority, on_doubt, expires_at, at, recipient, channel, address, reason, detail, steps, about)
  where coalesce(x.notification in (select id from n), false)
  on conflict (id) do nothing
), w as (
  insert into waits (message, tenant, key, priority, due_at, kind, name, until, at)
  select x.message, x.tenant, x.key, x.priority, x.due_at, x.kind, x.name, x.until, x.at
  from unnest($32::text[], $33::text[], $34::text[], $35::text[], $36::smallint[], $37::bigint[], $38::text[], $39::text[], $40::bigint[], $41::bigint[])
    as x (notification, message, tenant, key, priority, due_at, kind, name, until, at)
  where coalesce(x.notification in (select id from n), false)
  on conflict (message) do nothing
), e as (
  insert into events (seq, day, at, tenant, type, subject, detail)
  select (select value from event_base) + (pg_current_xact_id()::text::bigint << 12) + x.place - 1, x.day, x.at, x.tenant, x.type, x.subject, x.detail
  from unnest($42::text[], $43::integer[], $44::bigint[], $45::text[], $46::text[], $47::text[], $48::text[])
    with ordinality as x (notification, day, at, tenant, type, subject, detail, place)
  where coalesce(x.notification in (select id from n), false)
)
select id from n;

-- name: plan_existing
-- What is stored of those ids, locked: a cancellation may have come first.
select id, tenant, planned, process, number from notifications where id = any($1::text[]) order by id for update;

-- name: plan_repeats
-- Numbers of notifications that were published again under their id.
insert into repeats (process, number, notification) select * from unnest($1::text[], $2::bigint[], $3::text[]) on conflict do nothing;

-- name: unsent_of
-- The queued messages of one notification that nothing waits for and nobody claimed.
select {message}, n.content, n.trace, n.category from messages m join notifications n on n.id = 'ntf_' || substr(m.id, 5, 32)
where m.id > $1 and m.id < $2 and m.state = 20 and m.number = 0 and not exists (select from waits w where w.message = m.id)
order by m.id;

-- name: claim
-- One row decides. The tables of the epoch and of the suppressions stay locked against writing until the commit. Returns the places of
-- those that were granted; and of those whose address must not be sent to, with the reason. Nothing is looked up while that list is empty.
-- Their waits may have been written by whoever had the row before, which this statement's own snapshot does not show: so a function deletes
-- them, whose statements see what is committed by then.
with c as materialized (
  select c.*, case when (select exists (select from suppressions)) then (
      select min(s.reason) from suppressions s
      where s.mark = any(string_to_array(c.marks, ' ')) and s.tenant in ('', c.tenant) and s.channel in ('', c.channel)
        and (s.expires_at is null or s.expires_at > c.now) and s.id <> c.spared
        and (s.category = 'all' or exists (
          select from notifications n where n.id = 'ntf_' || substr(c.id, 5, 32) and n.category = s.category))) end as hindered
  from unnest($1::text[], $2::integer[], $3::smallint[], $4::integer[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::bigint[], $13::text[], $14::boolean[], $15::integer[], $16::bigint[], $17::text[], $18::text[], $19::text[],
    $20::text[])
    with ordinality as c (id, number, step, since, token, now, epoch, provider, channel, address, attempt, deadline_at, owner, by_ref, repeats, look_at,
      tenant, marks, call_id, spared, place)
), won as (
  update messages m set
    state = 21, number = m.number + 1, token = c.token, updated_at = c.now, provider = c.provider, channel = c.channel, address = c.address
  from c
  where m.id = c.id and m.number = c.number and m.step = c.step and m.since = c.since
    and (m.state in (10, 20) or (m.state = 21 and m.token is null))
    and (m.expires_at is null or m.expires_at > c.now)
    and c.epoch >= (select value from epoch)
    and c.hindered is null
  returning c.*
), a as (
  insert into attempts (id, number, step, channel, provider, state, started_at, deadline_at, owner, by_ref, repeats, look_at, call_id)
  select attempt, number + 1, step, channel, provider, 0, now, deadline_at, owner, by_ref, repeats, look_at, call_id from won
  on conflict (id) do nothing
), gone as materialized ( -- materialized: once, and not for each row
  select delete_waits(array(select id from won))
)
select place, null::text from won, gone union all select place, hindered from c where hindered is not null;

-- name: messages_of
-- As they are now, without a lock.
select {message} from messages m where m.id = any($1::text[]);

-- name: epoch
select value from epoch;

-- name: settle_straight
-- The straight path: a first attempt was accepted, and its claim still holds. Returns the places of those for
-- which that is so; of the others nothing is written.
with c as materialized (
  select * from unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::smallint[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::integer[])
    with ordinality as c (attempt, message, number, token, state, at, ref, reason, detail, day, place)
), won as (
  update messages m set state = 40, token = null, updated_at = c.at, reason = null, detail = '', backoff_s = 0, round = '[]'
  from c
  where m.id = c.message and m.token = c.token and m.number = c.number and m.state = 21
  returning c.*, m.tenant
), a as (
  update attempts set
    state = greatest(attempts.state, won.state), finished_at = coalesce(attempts.finished_at, won.at), ref = coalesce(won.ref, attempts.ref),
    reason = won.reason, detail = case when won.reason is null then '' else won.detail end
  from won
  where attempts.id = won.attempt
), e as (
  insert into events (seq, day, at, tenant, type, subject)
  select (select value from event_base) + (pg_current_xact_id()::text::bigint << 12) + won.place - 1, won.day, won.at, won.tenant, 'message.sent', won.message
  from won
)
select place from won;

-- name: strays_of
-- Receipts that came before the reference did. $1 attempts, $2 their references.
select s.id, a.id as attempt from unnest($1::text[], $2::text[]) c (attempt, ref)
join attempts a on a.id = c.attempt
cross join lateral (select id from strays where provider = a.provider and ref = c.ref offset 0) s -- offset: by the index, whatever it takes it for
where (select exists (select from strays));

-- name: strays_left_over
-- Of the newest ones, those whose reference is known.
select s.id, (select min(a.id) from attempts a where a.provider = s.provider and a.ref = s.ref and a.by_ref and a.ref is not null) as attempt, s.at
from (select id, provider, ref, at from strays order by id desc limit 500) s
where exists (select from attempts a where a.provider = s.provider and a.ref = s.ref and a.by_ref and a.ref is not null);

-- name: strays_insert
-- Returns their ids, in order.
insert into strays (provider, ref, at, sighting) select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) returning id;

-- name: strays_take
-- Whoever takes a receipt joins it.
delete from strays where id = any($1::bigint[]) returning id, sighting;

-- name: attempts_by_ref
-- The places of those references that an attempt has.
select c.place, a.id from unnest($1::text[], $2::text[]) with ordinality c (provider, ref, place)
join attempts a on a.provider = c.provider and a.ref = c.ref and a.by_ref and a.ref is not null order by a.id desc;

-- name: lock_messages
-- In the order of their ids, as they are once they are locked. Their waits and attempts are read afterwards.
select {message} from messages m where m.id = any($1::text[]) order by m.id for update;

-- name: attempts_of
-- $1, $2: the bounds of each message's attempts. Each range by itself, however many attempts the table is known to have: else all of
-- them would be read in the order that is asked for.
select {attempt} from unnest($1::text[], $2::text[]) c (low, high)
cross join lateral (select * from attempts x where x.id > c.low and x.id < c.high offset 0) a order by a.id;

-- name: waits_of
select message, kind, due_at, key, name, until, serial from waits where message = any($1::text[]);

-- name: save
-- Everything that a folio has changed. The messages are locked.
with m as (
  update messages m set
    state = c.state, step = c.step, calls = c.calls, token = c.token, updated_at = c.updated_at, reason = c.reason, detail = c.detail,
    doubled = c.doubled, dead = c.dead, backoff_s = c.backoff_s, round = c.round, since = c.since,
    channel = c.channel, address = c.address, provider = c.provider
  from unnest($1::text[], $2::smallint[], $3::smallint[], $4::integer[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::boolean[], $10::boolean[],
    $11::double precision[], $12::text[], $13::integer[], $14::text[], $15::text[], $16::text[])
    c (id, state, step, calls, token, updated_at, reason, detail, doubled, dead, backoff_s, round, since, channel, address, provider)
  where m.id = c.id
), a as (
  update attempts a set state = c.state, finished_at = c.finished_at, ref = c.ref, reason = c.reason, detail = c.detail, twice = c.twice
  from unnest($17::text[], $18::smallint[], $19::bigint[], $20::text[], $21::text[], $22::text[], $23::boolean[])
    c (id, state, finished_at, ref, reason, detail, twice)
  where a.id = c.id
), g as (
  delete from waits where message = any($24::text[])
), w as (
  insert into waits (message, tenant, key, priority, due_at, kind, name, until, at)
  select * from unnest($25::text[], $26::text[], $27::text[], $28::smallint[], $29::bigint[], $30::text[], $31::text[], $32::bigint[], $33::bigint[])
  on conflict (message) do update set tenant = excluded.tenant, key = excluded.key, due_at = excluded.due_at, kind = excluded.kind,
    name = excluded.name, until = excluded.until, at = excluded.at, serial = excluded.serial, holder = null, leased_until = null
), e as (
  insert into events (seq, day, at, tenant, type, subject, detail)
  select (select value from event_base) + (pg_current_xact_id()::text::bigint << 12) + $34::integer + c.place - 1, c.day, c.at, c.tenant, c.type, c.subject, c.detail
  from unnest($35::integer[], $36::bigint[], $37::text[], $38::text[], $39::text[], $40::text[])
    with ordinality c (day, at, tenant, type, subject, detail, place)
)
select 1;

-- name: content_gone
-- Of those notifications, the ones of which retention has forgotten what they said.
select id from notifications where id = any($1::text[]) and planned and content = '{}';

-- name: attempts_open
-- Every open attempt.
select id, owner, started_at, deadline_at from attempts where state = 0;

-- name: unheard
-- $1 now, $2 limit. Calls that were taken and of which nothing was reported in time; nobody else asks about them meanwhile.
select id, provider, ref, started_at, look_at from attempts
where state = 2 and look_at is not null and look_at <= $1 order by look_at limit $2 for update skip locked;

-- name: unheard_again
-- $1 ids, $2 when to look again.
update attempts a set look_at = c.look_at from unnest($1::text[], $2::bigint[]) c (id, look_at) where a.id = c.id;

-- name: standing
-- The tenant and state of those messages.
select id, tenant, state from messages where id = any($1::text[]);

-- name: insert_events
insert into events (seq, day, at, tenant, type, subject, detail)
select (select value from event_base) + (pg_current_xact_id()::text::bigint << 12) + c.place - 1, c.day, c.at, c.tenant, c.type, c.subject, c.detail
from unnest($1::integer[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
  with ordinality c (day, at, tenant, type, subject, detail, place);

-- name: cancel_notifications
-- $1 ids, $2 tenants, $3 when. A stranger's changes nothing.
insert into notifications (id, tenant, at, cancelled_at) select id, tenant, at, at from unnest($1::text[], $2::text[], $3::bigint[]) c (id, tenant, at)
on conflict (id) do update set cancelled_at = coalesce(notifications.cancelled_at, excluded.cancelled_at) where notifications.tenant = excluded.tenant;

-- name: cancel_existing
select id, tenant, planned from notifications where id = any($1::text[]);

-- name: messages_within
-- $1, $2: the bounds of each notification's messages.
select m.id from unnest($1::text[], $2::text[]) c (low, high) join messages m on m.id > c.low and m.id < c.high;

-- name: waits_due
-- $1 now, $2 who asks, $3 how many of each priority, $4 for how long they are his. What another has leased, or holds now, is passed by.
with picked as (
  select w.message from unnest(array[0, 1, 2, 3]::smallint[]) p (priority) cross join lateral (
    select w.message from waits w
    where w.priority = p.priority and w.due_at is not null and w.due_at <= $1
      and (w.leased_until is null or w.leased_until < now() or w.holder = $2)
    order by w.due_at, w.message limit $3 for update skip locked
  ) w
), leased as (
  update waits w set holder = $2, leased_until = now() + $4::interval from picked where w.message = picked.message
  returning w.message, w.priority, w.due_at, w.kind, w.key, w.name, w.until, w.serial
)
select {message}, n.content, n.trace, n.category, l.kind, l.due_at, l.key, l.name, l.until, l.serial
from leased l join messages m on m.id = l.message join notifications n on n.id = 'ntf_' || substr(m.id, 5, 32)
order by l.priority, l.due_at, l.message;

-- name: waits_tenants
-- $1 key, $2 who asks, $3 the tenant to begin with, $4 how many, $5 priority. Those who have what nobody else has leased, by skipping from
-- one to the next, those before the first afterwards. Counts stop at eight times an equal part of $4.
with recursive onward (tenant, place) as (
  (select w.tenant, 1 from waits w
   where w.key = $1 and w.key <> 'time' and w.priority = $5 and w.tenant >= $3 and (w.leased_until is null or w.leased_until < now() or w.holder = $2)
   order by w.tenant limit 1)
  union all
  select n.tenant, o.place + 1 from onward o cross join lateral (
    select w.tenant from waits w
    where w.key = $1 and w.key <> 'time' and w.priority = $5 and w.tenant > o.tenant and (w.leased_until is null or w.leased_until < now() or w.holder = $2)
    order by w.tenant limit 1) n
  where o.place < $4::integer
), again (tenant, place) as (
  (select w.tenant, 1 from waits w
   where w.key = $1 and w.key <> 'time' and w.priority = $5 and w.tenant < $3 and (w.leased_until is null or w.leased_until < now() or w.holder = $2)
   order by w.tenant limit 1)
  union all
  select n.tenant, a.place + 1 from again a cross join lateral (
    select w.tenant from waits w
    where w.key = $1 and w.key <> 'time' and w.priority = $5 and w.tenant > a.tenant and w.tenant < $3 and (w.leased_until is null or w.leased_until < now() or w.holder = $2)
    order by w.tenant limit 1) n
  where a.place < $4::integer
), ring as materialized (
  select tenant from (select tenant from onward union all select tenant from again) x limit $4
)
select r.tenant, (select count(*) from (
  select from waits w
  where w.key = $1 and w.key <> 'time' and w.priority = $5 and w.tenant = r.tenant and (w.leased_until is null or w.leased_until < now() or w.holder = $2)
  limit (select 1 + 8 * $4 / count(*) from ring)) x)
from ring r;

-- name: waits_pull
-- $1 key, $2 who asks, $3 tenants, $4 how many of each, $5 for how long they are his, $6 priority.
with picked as (
  select w.message from unnest($3::text[], $4::integer[]) c (tenant, most) cross join lateral (
    select w.message from waits w
    where w.key = $1 and w.key <> 'time' and w.priority = $6 and w.tenant = c.tenant
      and (w.leased_until is null or w.leased_until < now() or w.holder = $2)
    order by w.serial limit c.most for update skip locked
  ) w
), leased as (
  update waits w set holder = $2, leased_until = now() + $5::interval from picked where w.message = picked.message
  returning w.message, w.priority, w.due_at, w.kind, w.key, w.name, w.until, w.serial
)
select {message}, n.content, n.trace, n.category, l.kind, l.due_at, l.key, l.name, l.until, l.serial
from leased l join messages m on m.id = l.message join notifications n on n.id = 'ntf_' || substr(m.id, 5, 32)
order by l.serial;

-- name: lost_look
-- One stretch of messages below $1, newest first: the lowest, how many they are, and those that have been queued since before $2 and
-- wait for nothing. $3 how many. By their ids alone: an index by state would take the straight path's updates off their page.
with stretch as materialized (select id, state, token, updated_at from messages where id < $1 order by id desc limit $3)
select min(id), count(*), array(
  select s.id from stretch s where (s.state = 20 or (s.state = 21 and s.token is null)) and s.updated_at < $2
    and not exists (select from waits w where w.message = s.id) order by s.id)
from stretch;

-- name: lost_found
-- $1 messages, $2 moved before, $3 now. What somebody else holds is at work. Returns those that wait from here on.
with m as materialized (
  select id, priority from messages
  where id = any($1::text[]) and (state = 20 or (state = 21 and token is null)) and updated_at < $2 order by id for update skip locked
), w as (
  insert into waits (message, key, priority, due_at, kind, at) select id, 'time', priority, $3::bigint, 'time', $3::bigint from m
  on conflict (message) do nothing returning message
)
update messages set updated_at = $3::bigint from w where id = w.message returning id;

-- name: lock_scheduled
-- Messages come before waits in the order of locks.
select id from messages where id = any($1::text[]) and state = 10 order by id for update;

-- name: waits_promoted
-- Deletes only the waits that were read. $1 messages, $2 serials, $3 now.
with gone as (
  delete from waits w using unnest($1::text[], $2::bigint[]) c (message, serial) where w.message = c.message and w.serial = c.serial returning w.message
)
update messages m set state = 20, updated_at = $3 from gone where m.id = gone.message and m.state = 10;

-- name: waits_keys
-- Every (key, priority) under which something is parked, by skipping from one to the next; counts stop at 1000.
with recursive keys (key, priority) as (
  (select key, priority from waits where key <> 'time' order by key, priority limit 1)
  union all
  select n.key, n.priority from keys k cross join lateral (
    select w.key, w.priority from waits w where w.key <> 'time' and (w.key, w.priority) > (k.key, k.priority) order by w.key, w.priority limit 1) n
)
select k.key, k.priority, (select count(*) from (select from waits w where w.key = k.key and w.key <> 'time' and w.priority = k.priority limit 1000) x)
from keys k;

-- name: rebase_lock
-- $1 now, $2 the earliest time that is too far ahead. Looks at every timed wait: once per start or step of the clock.
select m.id from waits w join messages m on m.id = w.message
where w.key = 'time' and m.updated_at >= $2 and m.state <> 10 and w.due_at is not null and $1::bigint is not null order by m.id for update of m;

-- name: rebase_waits
-- As above; $3 the messages, locked.
update waits set due_at = $1 + greatest(0, waits.due_at - m.updated_at), until = $1 + greatest(0, waits.due_at - m.updated_at)
from messages m where m.id = any($3::text[]) and waits.message = m.id and waits.key = 'time' and waits.due_at > $1 and m.updated_at >= $2 and m.state <> 10;

-- name: rebase_messages
update messages set updated_at = $1 where id = any($3::text[]) and updated_at >= $2 and state <> 10
  and exists (select from waits w where w.message = messages.id and w.key = 'time');

-- name: waits_next
-- The first of each priority that nobody else has leased, and of those the first. $1 who asks.
select min(w.due_at) from unnest(array[0, 1, 2, 3]::smallint[]) p (priority) cross join lateral (
  select w.due_at from waits w
  where w.priority = p.priority and w.due_at is not null and (w.leased_until is null or w.leased_until < now() or w.holder = $1)
  order by w.due_at limit 1) w;

-- name: keys_reserve
-- Takes keys that stand for nothing, or for something of before $7 ms ago. Returns those.
insert into keys (tenant, key, id, fingerprint, at, owner, reserved_at)
select c.*, $6::text, clock_timestamp() from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bigint[]) c (tenant, key, id, fingerprint, at)
on conflict (tenant, key) do update set
  id = excluded.id, fingerprint = excluded.fingerprint, at = excluded.at, owner = excluded.owner, reserved_at = excluded.reserved_at, published = false
where keys.at < excluded.at - $7::bigint
returning tenant, key;

-- name: keys_take_over
-- Takes over what was reserved, with the same body, by somebody who should have published it long since. Returns the ids.
update keys k set owner = $4, reserved_at = clock_timestamp()
from unnest($1::text[], $2::text[], $3::bytea[]) c (tenant, key, fingerprint)
where k.tenant = c.tenant and k.key = c.key and k.fingerprint = c.fingerprint and not k.published and k.reserved_at < clock_timestamp() - $5::interval
returning k.tenant, k.key, k.id;

-- name: keys_held
-- $3 after how long what is pending is stale.
select k.tenant, k.key, k.id, k.fingerprint, k.published, k.reserved_at < clock_timestamp() - $3::interval as stale
from unnest($1::text[], $2::text[]) c (tenant, key)
join keys k on k.tenant = c.tenant and k.key = c.key;

-- name: keys_confirm
update keys k set published = true from unnest($1::text[], $2::text[], $3::text[]) c (tenant, key, id)
where k.tenant = c.tenant and k.key = c.key and k.id = c.id and not k.published;

-- name: keys_release
-- What was provably not published stands for nothing.
delete from keys where tenant = $1 and key = $2 and id = $3 and owner = $4 and not published;

-- name: keys_expire
-- In slices.
delete from keys where (tenant, key) in (select tenant, key from keys where at < $1 order by at limit 500 for update skip locked) returning 1;

-- name: process_counts
-- $1 process, $2 accepted, $3 now, $4 ms after which what was counted should be planned.
insert into processes as p (process, accepted, reported_at, marked_at) values ($1, $2, $3, $3)
on conflict (process) do update set
  accepted = greatest(p.accepted, excluded.accepted), reported_at = excluded.reported_at,
  overdue = case when excluded.reported_at - p.marked_at >= $4 then p.marked else p.overdue end,
  marked = case when excluded.reported_at - p.marked_at >= $4 then p.accepted else p.marked end,
  marked_at = case when excluded.reported_at - p.marked_at >= $4 then excluded.reported_at else p.marked_at end;

-- name: horizon
-- Below this number no event will ever be inserted.
select (select value from event_base) + (pg_snapshot_xmin(pg_current_snapshot())::text::bigint << 12);

-- name: horizon_here
-- The same, but of this database's transactions alone. Every one that has a number has one below the snapshot's xmax, and is running still
-- when its backend is looked at, or has ended: then the next statement sees all of it. What other roles do may be hidden: then as above.
select (select value from event_base) + ((case when there.hidden then pg_snapshot_xmin(s.now)::text::bigint
  else least(s.below, coalesce(there.oldest, s.below)) end) << 12)
from (select pg_current_snapshot() as now, pg_snapshot_xmax(pg_current_snapshot())::text::bigint as below offset 0) s
cross join lateral (
  select coalesce(bool_or(a.query = '<insufficient privilege>'), false) as hidden, min(a.number) as oldest
  from (
    select query, case when x.number > s.below + 2147483648 then x.number - 4294967296 else x.number end as number
    from pg_stat_get_activity(null)
    cross join lateral (select backend_xid::text::bigint + (s.below >> 32 << 32) as number) x
    where datid = (select oid from pg_database where datname = current_database())
  ) a
) there;

-- name: events_between
-- $1 after, $2 below, $3 tenant, $4 how many.
select seq, at, tenant, type, subject, detail from events where seq > $1 and seq < $2 and tenant = $3 order by seq limit $4;

-- name: events_beyond
-- The last one that is committed and may yet be overtaken. $1 from, $2 after, $3 tenant.
select max(seq) from events where seq >= $1 and seq > $2 and tenant = $3;

-- name: timeline
-- $1 subjects, $2 their day.
select seq, at, tenant, type, subject, detail from events where subject = any($1::text[]) and day = $2 order by seq;

-- name: said_back
-- $1 tenant, $2 marks, $3 below this number, $4 limit. What was said back from addresses of these marks, newest first.
select e.seq, e.at, e.tenant, e.type, e.subject, e.detail from replies r
cross join lateral (select x.* from events x where x.subject = r.id offset 0) e
where r.mark = any($2::text[]) and e.tenant = $1 and e.seq < $3 order by e.seq desc limit $4;

-- name: happened_before
-- $1 subjects, $2 their days, $3 types: the events of these types, as subject and type.
select e.subject, e.type from unnest($1::text[], $2::integer[]) c (subject, day)
cross join lateral (select subject, type from events where subject = c.subject and day = c.day and type = any($3::text[]) offset 0) e;

-- name: stretch
-- $1 after this id, $2 ids below, $3 limit. Notifications in order, and how many rows it may take to forget one.
select id, 1 + messages as weight from notifications where id > $1 and id < $2 order by id limit $3;

-- name: sweep_look
-- $1 ids, $2, $3: the bounds of their messages. Of each: when it was asked for, whether it says anything yet, whether anything of it is not
-- over, when any of it was last moved.
select n.id, n.at, n.planned and n.content <> '{}', coalesce(x.open, false), coalesce(x.moved_at, 0)
from unnest($1::text[], $2::text[], $3::text[]) c (id, low, high) join notifications n on n.id = c.id
cross join lateral (
  select bool_or(m.state < 30) as open, max(m.updated_at) as moved_at from messages m where m.id > c.low and m.id < c.high
) x;

-- name: sweep_lock
-- $1 ids. Locked, unless somebody is at it.
select id from notifications where id = any($1::text[]) order by id for update skip locked;

-- name: sweep_lock_messages
-- $1, $2: the bounds of each notification's messages. As above, each range by itself.
select m.id from messages m where m.id = any(array(
  select s.id from unnest($1::text[], $2::text[]) c (low, high)
  cross join lateral (select x.id from messages x where x.id > c.low and x.id < c.high offset 0) s)) order by m.id for update;

-- name: content_expire
update notifications set content = '{}' where id = any($1::text[]) and planned;

-- name: forget_numbers
-- The process may not have reported its count yet.
insert into processes as p (process, accepted, reported_at, marked_at, forgotten)
select process, 0, 0, 0, max(number) from (
  select process, number from notifications where id = any($1::text[]) and process is not null
  union all select process, number from repeats where notification = any($1::text[])) x
group by process order by process
on conflict (process) do update set forgotten = greatest(p.forgotten, excluded.forgotten);

-- name: delete_repeats
delete from repeats where notification = any($1::text[]);

-- name: delete_events
-- $1 subjects, $2 and $3 their first and last day.
delete from events where subject = any($1::text[]) and day >= $2 and day <= $3;

-- name: delete_attempts
-- $1, $2: the bounds of each notification's attempts.
delete from attempts a using unnest($1::text[], $2::text[]) c (low, high) where a.id > c.low and a.id < c.high;

-- name: delete_messages
delete from messages where id = any($1::text[]);

-- name: delete_notifications
delete from notifications where id = any($1::text[]);

-- name: delete_strays
delete from strays where at < $1;

-- name: delete_dead_parcels
delete from dead_parcels where at < $1;

-- name: delete_trials
delete from trials where at < $1;

-- name: day_is_over
-- $1, $2: the bounds of a day's messages; $3, $4: of its notifications; $5 time. Whether all of it is over, and left alone since then.
select not exists (select from messages where id >= $1 and id < $2 and (state < 30 or updated_at >= $5))
  and not exists (select from notifications where id >= $3 and id < $4 and at >= $5);

-- name: parcel_keep
-- A repeat's time is always a later one, so that a replay can tell it from the one that it published.
insert into dead_parcels (id, lane, at, problem, body, version) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do update
  set at = greatest(dead_parcels.at + 1, excluded.at), problem = excluded.problem, version = excluded.version;

-- name: parcel_drop
-- $2: as it was kept then, null for whenever.
with dropped as (delete from dead_parcels where id = $1 and at = coalesce($2, at) returning id),
  forgotten as (delete from trials where id in (select id from dropped))
select id from dropped;

-- name: parcels_newest
select id, lane, at, problem, length(body) from dead_parcels order by at desc, id desc limit $1;

-- name: parcels_legible
select id, lane, at, problem, length(body), body from dead_parcels where version <= $1 order by version, at limit $2;

-- name: parcel_tried
-- By how many it was counted before. Whoever was counted last is counted once.
insert into trials (id, count, by, at) values ($1, 1, $2, $3)
on conflict (id) do update set count = trials.count + (trials.by <> excluded.by)::integer, by = excluded.by, at = excluded.at
returning count - 1;

-- name: parcel_cleared
delete from trials where id = $1;

-- name: parcel_found
select id, lane, at, problem, length(body), body from dead_parcels where id = $1;

-- name: writable
-- Whether it can be written is all that is asked. (A row that is written as it was is written all the same.)
update event_base set value = value;

-- name: rate_lease
-- $1 provider; $2 cells wanted; $3 seconds from one to the next; $4 whether it is urgent; $5 how far ahead they may begin; $6 how
-- far ahead they can have been cut; $7 how far ahead they may begin for whom it is urgent, less for how long one is kept for that;
-- $8 how long the answer will be on its way.
-- The same arithmetic as policy.limit.cut. The clock is read with the row in hand.
with held as materialized (select tat, kept_until from rates where provider = $1 for update),
timed as materialized (select h.*, extract(epoch from clock_timestamp())::float8 as now from held h),
found as materialized (select now, kept_until, greatest(now + $8::float8, least(tat, now + $6::float8)) as first from timed),
judged as materialized (select f.*, first <= now + $8::float8 + $5::float8 and ($4::boolean or kept_until <= now) as granted from found f),
written as (
  update rates r
    set tat = case when j.granted then j.first + $2::int * $3::float8 else r.tat end,
      kept_until = case when j.granted then 0 else j.first - $7::float8 end
    from judged j where r.provider = $1 and ($4::boolean or j.granted))
select now, first, case when granted then $2::int else 0 end, kept_until from judged;

-- name: rate_first
insert into rates (provider) values ($1) on conflict do nothing;

-- name: breaker_move
-- $1 provider; $2 the version that is known; $3 to $6 shut, why, misconfigured, interval_s; $7, $8 when a probe is due and lost, in
-- seconds from now; $9 whether the one before must be due; $10 whose events, $11 to $15 those that come of it: day, at, type, subject,
-- detail.
with moved as (
insert into breakers as b (provider, version, shut, why, misconfigured, interval_s, probe_at, probe_until)
  select $1, 1, $3, $4, $5, $6, now + $7::float8, now + $8::float8
  from (select extract(epoch from clock_timestamp())::float8 as now) c
on conflict (provider) do update set version = b.version + 1, shut = excluded.shut, why = excluded.why,
    misconfigured = excluded.misconfigured, interval_s = excluded.interval_s, probe_at = excluded.probe_at,
    probe_until = excluded.probe_until
  where b.version = $2 and (not $9::boolean or b.probe_at <= extract(epoch from clock_timestamp()))
returning b.provider, b.version, b.shut, b.why, b.misconfigured, b.interval_s, b.probe_at, b.probe_until
), told as (
insert into events (seq, day, at, tenant, type, subject, detail)
  select (select value from event_base) + (pg_current_xact_id()::text::bigint << 12) + c.place - 1, c.day, c.at, $10, c.type, c.subject, c.detail
  from moved, unnest($11::integer[], $12::bigint[], $13::text[], $14::text[], $15::text[])
    with ordinality c (day, at, type, subject, detail, place))
select * from moved;

-- name: credentials
select provider, version, ends_at, ask_at, told from credentials;

-- name: credential_put
-- $1 provider, $2 the version that is known, $3 to $5 what is known now; $6 to $11 the events that come of it, as above.
with kept as (
insert into credentials as c (provider, version, ends_at, ask_at, told) select $1, 1, $3, $4, $5
on conflict (provider) do update set version = c.version + 1, ends_at = excluded.ends_at, ask_at = excluded.ask_at, told = excluded.told
  where c.version = $2
returning c.provider
), told as (
insert into events (seq, day, at, tenant, type, subject, detail)
  select (select value from event_base) + (pg_current_xact_id()::text::bigint << 12) + c.place - 1, c.day, c.at, $6, c.type, c.subject, c.detail
  from kept, unnest($7::integer[], $8::bigint[], $9::text[], $10::text[], $11::text[])
    with ordinality c (day, at, type, subject, detail, place))
select * from kept;

-- name: accord_report
-- $1 process; $2 to $7 its standings.
insert into standings (process, provider, in_flight, waiting, calls, good, latency_ms)
  select $1, c.* from unnest($2::text[], $3::int[], $4::int[], $5::int[], $6::int[], $7::float8[]) c
on conflict (process, provider) do update set in_flight = excluded.in_flight, waiting = excluded.waiting, calls = excluded.calls,
    good = excluded.good, latency_ms = excluded.latency_ms;

-- name: accord_picture
-- $1 seconds after which who was silent is dead.
select extract(epoch from clock_timestamp())::float8, (select value from epoch),
  (select coalesce(json_agg(json_build_array(provider, version, shut, why, misconfigured, interval_s, probe_at, probe_until)), '[]')
    from breakers),
  (select coalesce(json_agg(json_build_array(provider, tat)), '[]') from rates),
  (select coalesce(json_agg(json_build_array(provider, processes, lines, in_flight, waiting, calls, good, latency_ms)), '[]')
    from (select s.provider, count(*) as processes, count(*) filter (where s.waiting > 0) as lines, sum(s.in_flight) as in_flight,
        sum(s.waiting) as waiting, sum(s.calls) as calls, sum(s.good) as good,
        coalesce(sum(s.latency_ms * s.calls) / nullif(sum(s.calls), 0), 0) as latency_ms
      from standings s join workers w on w.process = s.process and w.beaten_at > clock_timestamp() - make_interval(secs => $1)
      group by s.provider) t);

-- name: api_key_add
insert into api_keys (id, tenant, name, scopes, digest, created_at, expires_at, rate, used_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (id) do nothing returning id;

-- name: api_keys_found
-- $1 ids.
select id, tenant, name, scopes, digest, created_at, expires_at, rate, used_at from api_keys where id = any($1::text[]);

-- name: api_keys_page
-- $1 tenant, null for all; $2, $3: older than this one, null for the newest; $4 how many.
select id, tenant, name, scopes, digest, created_at, expires_at, rate, used_at from api_keys
where ($1::text is null or tenant = $1) and ($2::bigint is null or (created_at, id) < ($2, $3::text))
order by created_at desc, id desc limit $4;

-- name: api_key_revoke
-- $1 tenant, null for any; $2 id.
delete from api_keys where id = $2 and ($1::text is null or tenant = $1) returning id;

-- name: api_keys_used
-- $1 ids; $2 when each was used. In the order of the ids, that two processes never wait for one another in a ring.
update api_keys k set used_at = greatest(k.used_at, u.at)
from (select id, at from unnest($1::text[], $2::bigint[]) n (id, at) order by id) u where k.id = u.id;

-- name: inbox_add
-- Of who was erased meanwhile nothing is put there, and nobody is erased while it is.
with theirs as materialized (select recipient from messages where id = $1 for key share)
insert into inbox (id, tenant, recipient, at, provider, attempt, said, changed_at)
select $1, $2, $3, $4::bigint, $5, $6, $7, $4::bigint where not exists (select from theirs where recipient is null)
on conflict (id) do nothing;

-- name: inbox_all
-- $1 tenant, $2 recipient, $3 now; $4, $5: older than this one, null for the newest; $6 how many.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox where tenant = $1 and recipient = $2 and archived_at is null and (snoozed_until is null or snoozed_until <= $3::bigint)
  and ($4::bigint is null or (at, id) < ($4, $5::text))
order by at desc, id desc limit $6;

-- name: inbox_unread
-- $1 tenant, $2 recipient, $3 now; $4, $5: older than this one, null for the newest; $6 how many.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox where tenant = $1 and recipient = $2 and archived_at is null and (snoozed_until is null or snoozed_until <= $3::bigint) and read_at is null
  and ($4::bigint is null or (at, id) < ($4, $5::text))
order by at desc, id desc limit $6;

-- name: inbox_archived
-- $1 tenant, $2 recipient, $3 now; $4, $5: older than this one, null for the newest; $6 how many.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox where tenant = $1 and recipient = $2 and archived_at is not null and $3::bigint > 0
  and ($4::bigint is null or (at, id) < ($4, $5::text))
order by at desc, id desc limit $6;

-- name: inbox_snoozed
-- $1 tenant, $2 recipient, $3 now; $4, $5: older than this one, null for the newest; $6 how many.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox where tenant = $1 and recipient = $2 and archived_at is null and snoozed_until > $3::bigint
  and ($4::bigint is null or (at, id) < ($4, $5::text))
order by at desc, id desc limit $6;

-- name: inbox_named
-- $1 tenant, $2 recipient, $3 ids, null for all that show at $4. Locked, in an order that all keep to.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox where tenant = $1 and recipient = $2 and case when $3::text[] is not null then id = any($3)
  else archived_at is null and (snoozed_until is null or snoozed_until <= $4::bigint) end
order by id for update;

-- name: inbox_mark
-- $1 ids, $2 delivered_at, $3 read_at, $4 archived_at, $5 snoozed_until, $6 owed, of each; $7 now.
update inbox set delivered_at = v.d, read_at = v.r, archived_at = v.a, snoozed_until = v.s, owed = v.o, changed_at = $7
from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[]) v(id, d, r, a, s, o) where inbox.id = v.id;

-- name: inbox_counts
-- $1 tenant, $2 recipient, $3 now.
select count(*) filter (where shown and read_at is null), count(*) filter (where shown), count(*), coalesce(max(changed_at), 0)
from (select read_at, changed_at, archived_at is null and (snoozed_until is null or snoozed_until <= $3::bigint) as shown
  from inbox where tenant = $1 and recipient = $2) t;

-- name: inbox_owed
-- $1 how many.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox where owed is not null order by changed_at limit $1;

-- name: inbox_reported
-- $1 ids, $2 what was reported of each. In an order that all keep to.
update inbox i set owed = null
from (select id, owed from unnest($1::text[], $2::smallint[]) n (id, owed) order by id) r where i.id = r.id and i.owed = r.owed;

-- name: inbox_forget
-- $1 time, $2 how many.
delete from inbox where id in (select id from inbox where at < $1 order by at limit $2 for update skip locked) returning id;

-- name: recipients_of
-- $1 tenants, $2 ids. Those that are known.
select r.tenant, r.id, r.body, r.created_at, r.updated_at from unnest($1::text[], $2::text[]) c (tenant, id)
join recipients r on r.tenant = c.tenant and r.id = c.id where r.updated_at > 0;

-- name: recipients_page
-- $1 tenant, $2 after this id, $3 limit.
select id, body, created_at, updated_at from recipients where tenant = $1 and id > $2 and updated_at > 0 order by id limit $3;

-- name: recipients_reserve
-- $1 tenants, $2 ids, sorted. An empty row for each that has none, so that there is something to lock.
insert into recipients (tenant, id, body, created_at, updated_at) select tenant, id, '{}', 0, 0 from unnest($1::text[], $2::text[]) c (tenant, id)
on conflict (tenant, id) do nothing;

-- name: recipients_lock
-- $1 tenants, $2 ids, sorted.
select r.tenant, r.id, r.body, r.created_at, r.updated_at from unnest($1::text[], $2::text[]) with ordinality c (tenant, id, place)
join recipients r on r.tenant = c.tenant and r.id = c.id order by c.place for update of r;

-- name: recipients_save
-- They are locked.
update recipients r set body = c.body, created_at = c.created_at, updated_at = c.updated_at
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) c (tenant, id, body, created_at, updated_at)
where r.tenant = c.tenant and r.id = c.id and (r.updated_at, r.body) is distinct from (c.updated_at, c.body);

-- name: recipients_delete
-- $1 tenants, $2 ids. They are locked.
delete from recipients r using unnest($1::text[], $2::text[]) c (tenant, id) where r.tenant = c.tenant and r.id = c.id;

-- name: erasures_of
-- $1 tenants, $2 marks.
select e.tenant, e.mark, e.at from unnest($1::text[], $2::text[]) c (tenant, mark) join erasures e on e.tenant = c.tenant and e.mark = c.mark;

-- name: erasure_insert
-- $1 tenant, $2 mark, $3 when.
insert into erasures (tenant, mark, at) values ($1, $2, $3) on conflict (tenant, mark) do update set at = greatest(erasures.at, excluded.at);

-- name: messages_of_recipient
-- $1 tenant, $2 the recipient's id, $3 limit.
select id from messages where recipient = $2 and tenant = $1 order by id limit $3;

-- name: erase_messages
-- $1 ids, $2 steps without addresses. They are locked.
update messages m set recipient = null, address = null, detail = '', about = null, steps = c.steps from unnest($1::text[], $2::text[]) c (id, steps) where m.id = c.id;

-- name: erase_attempts
-- $1 ids. Vendors quote addresses.
update attempts a set detail = '' from unnest($1::text[]) c (id) where a.id = c.id;

-- name: erase_contents
-- $1 notification ids. What was said to nobody else is forgotten.
update notifications n set content = '{}', metadata = '{}' from unnest($1::text[]) c (id)
where n.id = c.id and n.planned and not exists (
  select from messages m where m.id > 'msg_' || substr(c.id, 5) and m.id < 'msg_' || substr(c.id, 5) || '~'
    and (m.recipient is not null or m.address is not null));

-- name: suppressions_save
-- The table is locked. Each id once.
insert into suppressions (id, tenant, channel, mark, category, masked, reason, source, created_at, expires_at)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[])
on conflict (id) do update set reason = excluded.reason, source = excluded.source, expires_at = excluded.expires_at;

-- name: suppressions_over
-- $1 now. In slices.
delete from suppressions where id in (select id from suppressions where expires_at <= $1 order by expires_at limit 100);

-- name: suppressions_found
-- $1 ids.
select {suppression} from suppressions s where s.id = any($1::text[]);

-- name: suppressions_lift
-- $1 tenants, $2 ids.
delete from suppressions s using unnest($1::text[], $2::text[]) c (tenant, id) where s.id = c.id and s.tenant = c.tenant returning s.id;

-- name: unsubscribed
-- Once of a message. The list is locked. The messages that have the event now.
insert into events (seq, day, at, tenant, type, subject, detail)
select (select value from event_base) + (pg_current_xact_id()::text::bigint << 12) + c.place - 1, c.day, c.at, c.tenant, c.type, c.subject, c.detail
from unnest($1::integer[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
  with ordinality c (day, at, tenant, type, subject, detail, place)
where exists (select from messages m where m.id = c.subject and m.tenant = c.tenant)
  and not exists (select from events e where e.subject = c.subject and e.day = c.day and e.type = c.type)
returning subject;

-- name: suppressions_of
-- $1 tenants, $2 marks, $3 now.
select {suppression} from suppressions s
where s.mark = any($2::text[]) and s.tenant = any($1::text[]) and (s.expires_at is null or s.expires_at > $3) order by s.id;

-- name: suppressions_page
-- $1 tenant, $2 after this id, $3 now, $4 channel, $5 reason and $7 source, null for any, $6 limit.
select {suppression} from suppressions s
where s.tenant = $1 and s.id > $2 and (s.expires_at is null or s.expires_at > $3)
  and ($4::text is null or s.channel = $4) and ($5::text is null or s.reason = $5)
  and ($7::text is null or s.source = $7) order by s.id limit $6;

-- name: suppressions_start
-- $1 marks, $2 channel, $3 source. What was put there by that.
delete from suppressions where mark = any($1::text[]) and channel = $2 and source = $3;

-- name: replies_insert
-- The ids of those that were not heard before.
insert into replies (provider, ref, id, mark, at) select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
on conflict (provider, ref) do nothing returning id;

-- name: replies_found
-- $1 providers, $2 references. Those that are known.
select r.provider, r.ref, r.id, r.at from unnest($1::text[], $2::text[]) c (provider, ref)
join replies r on r.provider = c.provider and r.ref = c.ref;

-- name: replies_of
-- $1 mark. The newest of what that person said.
select id from replies where mark = $1 order by at desc limit 500;

-- name: replies_overtaken
-- $1 days, $2 ids of replies, $3 type of their event, $4 channel, $5 how, $6 since when. Those that asked for anything there, and later.
select e.subject from unnest($1::integer[], $2::text[]) c (day, id) join events e on e.day = c.day and e.subject = c.id
where e.type = $3 and e.detail::json->>'channel' = $4 and e.detail::json->>'how' = $5
  and e.detail::json->>'word' in ('stop', 'start') and e.detail::json->>'said_at' > $6 limit 1;

-- name: replies_old
-- $1 before. In slices, with their events.
select id from replies where at < $1 order by at limit 200;

-- name: replies_delete
-- $1 ids.
delete from replies where id = any($1::text[]);

-- name: channels_of
-- $1 attempts.
select a.id, a.channel from unnest($1::text[]) c (id) join attempts a on a.id = c.id;

-- name: erase_replies
-- $1 tenant, $2 marks. What somebody said back; that it was heard stays known.
delete from events e using replies r where r.mark = any($2::text[]) and e.subject = r.id and e.tenant = $1;

-- name: erase_postings
-- $1 messages and notifications, $2 tenant, $3 marks. What was, or was to be, told of a person.
with subjects as materialized (
  select unnest($1::text[]) as subject union all select r.id from replies r where r.mark = any($3::text[])
), told as materialized (
  select p.id from subjects s
  cross join lateral (select x.id, x.endpoint from postings x where x.subject = s.subject offset 0) p
  cross join lateral (select 1 from endpoints e where e.id = p.endpoint and e.tenant = $2 offset 0) theirs
)
delete from postings p using told t where p.id = t.id;

-- name: erase_inbox
-- $1 tenant, $2 recipient.
delete from inbox where tenant = $1 and recipient = $2;

-- name: session_add
-- $1 id, $2 kind, $3 tenant, $4 sealed, $5 way, $6 made_at, $7 seen_at, $8 until. Those that are over by then go.
with gone as (delete from sessions where until <= $6 and id <> $1)
insert into sessions (id, kind, tenant, sealed, way, made_at, seen_at, until) values ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: session_of
-- $1 id.
select id, kind, tenant, sealed, way, made_at, seen_at, until from sessions where id = $1;

-- name: session_seen
-- $1 id, $2 when.
update sessions set seen_at = greatest(seen_at, $2) where id = $1;

-- name: session_take
-- $1 id.
delete from sessions where id = $1 returning id, kind, tenant, sealed, way, made_at, seen_at, until;

-- name: sessions_all
-- $1 tenant.
select id, kind, tenant, sealed, way, made_at, seen_at, until from sessions where tenant = $1 and kind = 'session' order by made_at desc, id desc;

-- name: sessions_end
-- $1 tenant, $2 id or null.
delete from sessions where tenant = $1 and kind = 'session' and ($2::text is null or id = $2) returning id;

-- name: backlog_counts
-- $1 tenant, $2 where counting stops. Dead letters, doubts.
select
  (select count(*) from (select from messages where dead and tenant = $1 limit $2) x),
  (select count(*) from (select from messages where listed = 30 and tenant = $1 limit $2) x);

-- name: backlog_parked
-- $1 tenant, $2 where counting stops. What of the tenant is parked under each key and priority: kind, name, how many, when the first of
-- them was accepted.
with recursive keys (key, priority) as (
  (select key, priority from waits where key <> 'time' order by key, priority limit 1)
  union all
  select n.key, n.priority from keys k cross join lateral (
    select w.key, w.priority from waits w where w.key <> 'time' and (w.key, w.priority) > (k.key, k.priority) order by w.key, w.priority limit 1) n
)
select f.kind, coalesce(f.name, split_part(k.key, ':', 2)), (
  select count(*) from (
    select from waits w where w.key = k.key and w.key <> 'time' and w.priority = k.priority and w.tenant = $1 limit $2) x), m.accepted_at
from keys k
cross join lateral (
  select * from waits w where w.key = k.key and w.key <> 'time' and w.priority = k.priority and w.tenant = $1 order by w.serial limit 1) f
join messages m on m.id = f.message;

-- name: accepted_within
-- $1 the lowest ids, $2 ids below, $3 where counting stops, $4 tenant. How many messages of the tenant's are in each span.
select (select count(*) filter (where x.tenant = $4) from (select tenant from messages where id >= s.low and id < s.high limit $3) x)
from unnest($1::text[], $2::text[]) with ordinality s (low, high, place)
order by s.place;

-- name: strip_samples
-- $1 the lowest ids, $2 ids below, $3 how many of each, $4 tenant. The newest messages of each span: its place, then when accepted, state,
-- channel, provider, latency, whether they are the tenant's.
select s.place, m.accepted_at, m.state, m.channel, m.provider,
  a.started_at - greatest(m.accepted_at, (select n.send_at from notifications n where n.id = 'ntf_' || substr(m.id, 5, 32))), m.tenant = $4
from unnest($1::text[], $2::text[]) with ordinality s (low, high, place)
cross join lateral (
  select x.id, x.tenant, x.number, x.accepted_at, x.state, x.channel, x.provider
  from messages x where x.id >= s.low and x.id < s.high order by x.id desc limit $3
) m
left join lateral (select y.started_at from attempts y where m.number > 0 and y.id = 'att_' || substr(m.id, 5) || '001' limit 1) a on true
order by s.place, m.id desc;

-- name: type_lock
-- Until the commit.
select pg_advisory_xact_lock(hashtextextended($1, 0));

-- name: type_newest
-- Without a body where the type was deleted.
select version, at, body from types where tenant = $1 and name = $2 order by version desc limit 1;

-- name: type_version
select version, at, body from types where tenant = $1 and name = $2 and version = $3;

-- name: types_listed
-- The newest version of each type behind $2, by name.
select t.name, t.version, t.at, t.body from types t
where t.tenant = $1 and t.name > $2 and t.body is not null
  and t.version = (select max(x.version) from types x where x.tenant = t.tenant and x.name = t.name)
order by t.name limit $3;

-- name: type_insert
insert into types (tenant, name, version, at, body) values ($1, $2, $3, $4, $5);

-- name: type_forget
-- The versions before $3, the newest.
delete from types where tenant = $1 and name = $2 and version < $3;

-- name: type_end
update types set body = null where tenant = $1 and name = $2 and version = $3;

-- name: layout_newest
-- Without a body where it was deleted.
select version, at, body from layouts where tenant = $1 and name = $2 order by version desc limit 1;

-- name: layout_version
select version, at, body from layouts where tenant = $1 and name = $2 and version = $3;

-- name: layouts_listed
-- The newest version of each layout behind $2, by name.
select t.name, t.version, t.at, t.body from layouts t
where t.tenant = $1 and t.name > $2 and t.body is not null
  and t.version = (select max(x.version) from layouts x where x.tenant = t.tenant and x.name = t.name)
order by t.name limit $3;

-- name: layout_insert
insert into layouts (tenant, name, version, at, body) values ($1, $2, $3, $4, $5);

-- name: layout_forget
-- The versions before $3, the newest.
delete from layouts where tenant = $1 and name = $2 and version < $3;

-- name: layout_end
update layouts set body = null where tenant = $1 and name = $2 and version = $3;

-- name: endpoint_add
-- $1 … $14: the endpoint, as its columns stand.
insert into endpoints (id, tenant, url, description, types, secret, previous, previous_until, disabled_for, created_at, seen, failing_since, failed_at, version)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) on conflict (id) do nothing returning id;

-- name: endpoint_found
-- $1 tenant, $2 id.
select id, tenant, url, description, types, secret, previous, previous_until, disabled_for, created_at, seen, failing_since, failed_at, version
from endpoints where tenant = $1 and id = $2;

-- name: endpoint_any
-- $1 id, whoever's. Locked: whoever judges it judges what the one before has left.
select id, tenant, url, description, types, secret, previous, previous_until, disabled_for, created_at, seen, failing_since, failed_at, version
from endpoints where id = $1 for update;

-- name: endpoints_page
-- $1 tenant; $2, $3: older than this one, null for the newest; $4 how many.
select id, tenant, url, description, types, secret, previous, previous_until, disabled_for, created_at, seen, failing_since, failed_at, version
from endpoints where tenant = $1 and ($2::bigint is null or (created_at, id) < ($2, $3::text)) order by created_at desc, id desc limit $4;

-- name: endpoints_disabled
-- How many are posted to no more, by why.
select disabled_for, count(*) from endpoints where disabled_for is not null group by disabled_for;

-- name: postings_count
-- $1 at most. How many wait.
select count(*) from (select 1 from postings where due_at is not null limit $1) waiting;

-- name: endpoints_live
-- Without arguments. Few rows: a scan.
select id, tenant, url, description, types, secret, previous, previous_until, disabled_for, created_at, seen, failing_since, failed_at, version
from endpoints where disabled_for is null order by id;

-- name: endpoint_save
-- $1 id, $2 url, $3 description, $4 types, $5 secret, $6 previous, $7 previous_until, $8 disabled_for, $9 failing_since, $10 failed_at,
-- $11 version. Where nobody else has changed it.
update endpoints set url = $2, description = $3, types = $4, secret = $5, previous = $6, previous_until = $7, disabled_for = $8,
  failing_since = $9, failed_at = $10, version = $11
where id = $1 and version = $11::bigint - 1 returning id;

-- name: endpoint_remove
-- $1 tenant, $2 id.
delete from endpoints where tenant = $1 and id = $2 returning id;

-- name: endpoint_seen
-- $1 id, $2 where it stands, $3 its version, $4 where it stands then.
update endpoints set seen = $4 where id = $1 and seen = $2 and version = $3 returning id;

-- name: erase_drafts
-- $1 tenant. What is being made of a person's events is not written: whoever makes it sees its endpoint changed. Before the postings are
-- deleted: what was written meanwhile is among them.
update endpoints set version = version + 1 where id in (select id from endpoints where tenant = $1 order by id for update);

-- name: endpoint_judged
-- $1 id, $2 failing_since, $3 failed_at, $4 disabled_for, $5 version.
update endpoints set failing_since = $2, failed_at = $3, disabled_for = $4, version = $5 where id = $1;

-- name: postings_add
-- $1 … $12: id, endpoint, seq, type, subject, at, body, state, due_at, count, began, tries, of each.
insert into postings (id, endpoint, seq, type, subject, at, body, state, due_at, count, began, tries)
select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::bigint[],
  $10::int[], $11::int[], $12::text[])
on conflict (id) do nothing;

-- name: postings_waiting
-- $1 endpoints, $2 now. Which of them have something due.
select e.id from unnest($1::text[]) e (id)
where exists (select from postings p where p.endpoint = e.id collate "C" and p.due_at <= $2::bigint);

-- name: postings_take
-- $1 endpoints, $2 how many of each, $3 now, $4 until when nobody else is given them.
update postings set due_at = $4 from (
  select p.id from unnest($1::text[], $2::int[]) s (endpoint, most) cross join lateral (
    select id from postings where endpoint = s.endpoint collate "C" and due_at <= $3::bigint order by due_at, seq limit s.most
    for update skip locked
  ) p
) t where postings.id = t.id
returning postings.id, postings.endpoint, postings.seq, postings.type, postings.subject, postings.at, postings.body, postings.state, postings.due_at, postings.count, postings.began, postings.tries;

-- name: posting_tried
-- $1 id, $2 state, $3 due_at, $4 count, $5 tries. Where nobody else has tried it.
update postings set state = $2, due_at = $3, count = $4, tries = $5 where id = $1 and count = $4::int - 1 returning id;

-- name: postings_page
-- $1 endpoint, $2 state, null for any; $3: before this event, null for the newest; $4 how many.
select id, endpoint, seq, type, subject, at, body, state, due_at, count, began, tries
from postings where endpoint = $1 and ($2::text is null or state = $2) and ($3::bigint is null or seq < $3) order by seq desc limit $4;

-- name: postings_replay
-- $1 endpoint, $2 ids, null for what failed; $3 now, $4 how many.
update postings set state = 'pending', due_at = $3, began = count where id in (
  select id from postings where endpoint = $1
    and case when $2::text[] is null then state = 'failed' else state <> 'pending' and id = any($2) end
  order by seq limit $4 for update
) returning id;

-- name: postings_purge
-- $1 endpoint, $2 how many.
delete from postings where id in (select id from postings where endpoint = $1 limit $2 for update skip locked) returning id;

-- name: postings_forget
-- $1 time, $2 how many.
delete from postings where id in (select id from postings where at < $1 order by at limit $2 for update skip locked) returning id;
