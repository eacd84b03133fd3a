-- Statements of the embedded store. `?1` is a JSON array of rows (see writer.py for why) unless a line says otherwise.
-- Rows are read with jsonb_each: it parses the text once, where json_each parses each row again for every column.
-- `cross join` where the order of a join matters: the tables are never analysed, and must not need to be.

-- name: upgrade_from_2
-- Each `upgrade_from` brings a file of an older version to the schema one further, in one transaction.
alter table attempts add column look_at integer;
create index attempts_unheard on attempts (look_at) where state = 2 and look_at is not null;
create table waits_of_tenants (
  message text primary key,
  tenant text not null,
  key text not null,
  priority integer not null,
  due_at integer,
  kind text not null,
  name text,
  until integer,
  at integer not null,
  serial integer not null
) without rowid;
insert into waits_of_tenants select w.message, m.tenant, w.key, w.priority, w.due_at, w.kind, w.name, w.until, w.at, w.serial
from waits w join messages m on m.id = w.message;
drop table waits;
alter table waits_of_tenants rename to waits;
create index waits_due on waits (priority, due_at, message) where due_at is not null;
create index waits_parked on waits (key, priority, tenant, serial) where key <> 'time';
alter table dead_parcels add column version integer;
create table trials (
  id text primary key,
  count integer not null,
  by text not null,
  at integer not null
) without rowid;
update meta set value = 3 where name = 'schema';

-- name: upgrade_from_3
create table api_keys (
  id text primary key,
  tenant text not null,
  name text not null,
  scopes text not null,
  digest blob not null,
  created_at integer not null,
  expires_at integer,
  rate text,
  used_at integer
) without rowid;
create index api_keys_by_age on api_keys (created_at, id);
update meta set value = 4 where name = 'schema';

-- name: upgrade_from_4
create table inbox (
  id text primary key,
  tenant text not null,
  recipient text not null,
  at integer not null,
  provider text not null,
  attempt text not null,
  said text not null,
  delivered_at integer,
  read_at integer,
  archived_at integer,
  snoozed_until integer,
  changed_at integer not null
) without rowid;

create index inbox_of on inbox (tenant, recipient, at, id);
create index inbox_by_age on inbox (at);
update meta set value = 5 where name = 'schema';

-- name: upgrade_from_5
-- The people: recipients, suppressions, replies.
create table recipients (
  tenant text not null,
  id text not null,
  body text not null,
  created_at integer not null,
  updated_at integer not null,
  primary key (tenant, id)
) without rowid;
create table erasures (
  tenant text not null,
  mark text not null,
  at integer not null,
  primary key (tenant, mark)
) without rowid;
create table suppressions (
  id text primary key,
  tenant text not null,
  channel text not null,
  mark text not null,
  category text not null check (category in ('all', 'marketing')),
  masked text not null,
  reason text not null,
  source text not null,
  created_at integer not null,
  expires_at integer
) without rowid;
create index suppressions_by_mark on suppressions (mark);
create index suppressions_of_tenant on suppressions (tenant, id);
create index suppressions_by_end on suppressions (expires_at) where expires_at is not null;
create table replies (
  provider text not null,
  ref text not null,
  id text not null,
  mark text not null,
  at integer not null,
  primary key (provider, ref)
) without rowid;
create index replies_by_age on replies (at);
create unique index replies_by_id on replies (id);
create index replies_by_mark on replies (mark);
update meta set value = 6 where name = 'schema';

-- name: upgrade_from_6
create table sessions (
  id text primary key,
  kind text not null check (kind in ('session', 'link')),
  tenant text not null,
  sealed text not null,
  way text not null,
  made_at integer not null,
  seen_at integer not null,
  until integer not null
) without rowid;
update meta set value = 7 where name = 'schema';

-- name: upgrade_from_7
alter table notifications add column type text;
alter table messages add column about text;
create table types (
  tenant text not null,
  name text not null,
  version integer not null,
  at integer not null,
  body text,
  primary key (tenant, name, version)
) without rowid;
update meta set value = 8 where name = 'schema';

-- name: upgrade_from_8
create table endpoints (
  id text primary key,
  tenant text not null,
  url text not null,
  description text not null,
  types text not null,
  secret blob not null,
  previous blob,
  previous_until integer,
  disabled_for text,
  created_at integer not null,
  seen integer not null,
  failing_since integer,
  failed_at integer,
  version integer not null
) without rowid;
create index endpoints_of on endpoints (tenant, created_at, id);
create table postings (
  id text primary key,
  endpoint text not null,
  seq integer not null,
  type text not null,
  subject text not null,
  at integer not null,
  body text not null,
  state text not null,
  due_at integer,
  count integer not null,
  began integer not null,
  tries text not null
) without rowid;
create index postings_of on postings (endpoint, seq);
create index postings_due on postings (endpoint, due_at, seq) where due_at is not null;
create index postings_by_age on postings (at);
create index postings_by_subject on postings (subject);
update meta set value = 9 where name = 'schema';

-- name: upgrade_from_9
-- What a person's doing says of an attempt and was not reported yet.
alter table inbox add column owed integer;
create index inbox_owing on inbox (changed_at) where owed is not null;
alter table attempts add column call_id text;
create table routes (
  channel text primary key,
  providers text not null
) without rowid;
create table layouts (
  tenant text not null,
  name text not null,
  version integer not null,
  at integer not null,
  body text,
  primary key (tenant, name, version)
) without rowid;
update meta set value = 10 where name = 'schema';

-- name: plan_notifications
-- The first committed plan wins: rows that exist are left alone, and looked at afterwards.
insert into notifications (id, tenant, at, priority, category, on_doubt, send_at, expires_at, key, process, number, messages, planned, content, metadata, trace, type)
select value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, value->>9, value->>10, value->>11, 1, value->12, value->13, value->>14, value->>15
from jsonb_each(?1) where true
on conflict (id) do nothing;

-- name: plan_existing
-- [id, tenant, planned] of those ids (a JSON array) that have a row.
select json_group_array(json_array(n.id, n.tenant, n.planned)) from json_each(?1) j cross join notifications n on n.id = j.value;

-- name: plan_over_cancelled
-- A cancellation came first: the plan fills in its row. A stranger's cancels nothing.
update notifications set
  cancelled_at = iif(notifications.tenant = c.value->>1, notifications.cancelled_at, null), tenant = c.value->>1,
  priority = c.value->>3, category = c.value->>4, on_doubt = c.value->>5, send_at = c.value->>6, expires_at = c.value->>7,
  key = c.value->>8, process = c.value->>9, number = c.value->>10, messages = c.value->>11, planned = 1,
  content = c.value->12, metadata = c.value->13, trace = c.value->>14, at = c.value->>2, type = c.value->>15
from jsonb_each(?1) c
where notifications.id = c.value->>0 and notifications.planned = 0;

-- name: plan_messages
insert into messages (id, tenant, state, priority, on_doubt, expires_at, accepted_at, updated_at, recipient, channel, address, reason, detail, dead, steps, about)
select value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, value->>9, value->>10, value->>11, value->>12, value->>13, value->14,
  nullif(value->15, 'null')
from jsonb_each(?1) where true
on conflict (id) do nothing;

-- name: unsent_of
-- The queued messages of a notification (?1: smallest, ?2: beyond the greatest message id) that nothing waits for and nobody claimed.
select json_group_array(json_array(json_array({message}), json(n.content), n.trace, n.category))
from messages m join notifications n on n.id = 'ntf_' || substr(m.id, 5, 32)
where m.id >= ?1 and m.id < ?2 and m.state = 20 and m.number = 0 and not exists (select 1 from waits w where w.message = m.id);

-- name: insert_events
insert into events (at, tenant, type, subject, detail)
select value->>0, value->>1, value->>2, value->>3, value->>4 from jsonb_each(?1);

-- name: happened_before
-- Of messages (?1) the events of these types (?2): message and type.
select json_group_array(json_array(e.subject, e.type)) from json_each(?1) c cross join events e on e.subject = c.value
where e.type in (select value from json_each(?2));

-- name: insert_waits
insert into waits (message, tenant, key, priority, due_at, kind, name, until, at, serial)
select value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, value->>9 from jsonb_each(?1) where true
on conflict (message) do update set key = excluded.key, due_at = excluded.due_at, kind = excluded.kind,
  name = excluded.name, until = excluded.until, at = excluded.at, serial = excluded.serial;

-- name: delete_waits
-- ?1: message ids.
delete from waits where message in (select value from json_each(?1));

-- name: claim
-- One row decides. Rows: id, number, step, token, now, epoch, provider, channel, address, attempt, deadline_at, owner, by_ref, repeats, since, look_at, call.
update messages set
  state = 21, number = messages.number + 1, token = c.value->>3, updated_at = c.value->>4,
  provider = c.value->>6, channel = c.value->>7, address = c.value->>8
from jsonb_each(?1) c
where messages.id = c.value->>0 and messages.number = c.value->>1 and messages.step = c.value->>2 and messages.since = c.value->>14
  and (messages.state in (10, 20) or (messages.state = 21 and messages.token is null))
  and (messages.expires_at is null or messages.expires_at > c.value->>4)
  and (c.value->>5) >= (select value from meta where name = 'epoch');

-- name: claim_attempts
-- The attempts of claims that all won.
insert into attempts (id, message, number, step, channel, provider, state, started_at, deadline_at, owner, by_ref, repeats, look_at, call_id)
select value->>9, value->>0, (value->>1) + 1, value->>2, value->>7, value->>6, 0, value->>4, value->>10, value->>11, value->>12, value->>13, value->>15, value->>16
from jsonb_each(?1) where true
on conflict (id) do nothing;

-- name: claim_granted
-- Positions of the claims that hold their row now.
select json_group_array(c.key)
from jsonb_each(?1) c cross join messages m on m.id = c.value->>0 and m.token = c.value->>3 and m.state = 21 and m.number = (c.value->>1) + 1;

-- name: waits_any
select exists (select 1 from waits);

-- name: settle_attempts
-- Evidence always joins. Rows: attempt, message, number, token, state, at, ref, reason, detail, tenant.
update attempts set
  state = max(attempts.state, c.value->>4), finished_at = coalesce(attempts.finished_at, c.value->>5),
  ref = coalesce(c.value->>6, attempts.ref), reason = c.value->>7, detail = iif(c.value->>7 is null, '', c.value->>8)
from jsonb_each(?1) c
where attempts.id = c.value->>0;

-- name: settle_sent
-- The straight path: the first attempt was accepted, and its claim still holds.
update messages set state = 40, token = null, updated_at = c.value->>5, reason = null, detail = '', backoff_s = 0, round = '[]'
from jsonb_each(?1) c
where messages.id = c.value->>1 and messages.token = c.value->>3 and messages.number = c.value->>2 and messages.state = 21;

-- name: settle_not_sent
-- Positions of the settlements whose claim does not hold any more (asked before `settle_sent`).
select json_group_array(c.key)
from jsonb_each(?1) c left join messages m on m.id = c.value->>1 and m.token = c.value->>3 and m.number = c.value->>2 and m.state = 21
where m.id is null;

-- name: settle_events
insert into events (at, tenant, type, subject)
select c.value->>5, m.tenant, 'message.sent', m.id from jsonb_each(?1) c cross join messages m on m.id = c.value->>1;

-- name: strays_any
select exists (select 1 from strays);

-- name: strays_of
-- Receipts that came before the reference did. Rows: provider, ref.
select json_group_array(s.sighting) from jsonb_each(?1) c cross join strays s on s.provider = c.value->>0 and s.ref = c.value->>1;

-- name: strays_delete
delete from strays where rowid in (
  select s.rowid from jsonb_each(?1) c cross join strays s on s.provider = c.value->>0 and s.ref = c.value->>1);

-- name: strays_insert
insert into strays (provider, ref, at, sighting) select value->>0, value->>1, value->>2, value->>3 from jsonb_each(?1);

-- name: load_messages
-- ?1: message ids.
select json_group_array(json_array({message})) from json_each(?1) j cross join messages m on m.id = j.value;

-- name: load_attempts
-- ?1: message ids. All their attempts, by number.
select json_group_array(json_array({attempt}))
from (select a.* from json_each(?1) j cross join attempts a on a.id >= 'att_' || substr(j.value, 5) and a.id < 'att_' || substr(j.value, 5) || '~' order by a.id) a;

-- name: save_messages
-- Rows: id, state, step, calls, token, updated_at, reason, detail, doubled, dead, backoff_s, round, since, channel, address, provider.
update messages set
  state = c.value->>1, step = c.value->>2, calls = c.value->>3, token = c.value->>4, updated_at = c.value->>5, reason = c.value->>6,
  detail = c.value->>7, doubled = c.value->>8, dead = c.value->>9, backoff_s = c.value->>10, round = c.value->11, since = c.value->>12,
  channel = c.value->>13, address = c.value->>14, provider = c.value->>15
from jsonb_each(?1) c
where messages.id = c.value->>0;

-- name: save_attempts
-- Rows: id, state, finished_at, ref, reason, detail, twice.
update attempts set
  state = c.value->>1, finished_at = c.value->>2, ref = c.value->>3, reason = c.value->>4, detail = c.value->>5, twice = c.value->>6
from jsonb_each(?1) c
where attempts.id = c.value->>0;

-- name: attempts_by_ref
-- Rows: provider, ref. [position, attempt id]
select json_group_array(json_array(c.key, a.id)) from jsonb_each(?1) c cross join attempts a on a.provider = c.value->>0 and a.ref = c.value->>1 and a.by_ref = 1;

-- name: attempts_open
-- Every open attempt: id, owner, started_at, deadline_at.
select json_group_array(json_array(id, owner, started_at, deadline_at)) from attempts where state = 0;

-- name: unheard
-- ?1 now, ?2 limit. Calls that were taken and of which nothing was reported in time: id, provider, ref, started_at, look_at, and of their
-- message the id, the tenant, the state.
select json_group_array(json_array(a.id, a.provider, a.ref, a.started_at, a.look_at, m.id, m.tenant, m.state))
from (select * from attempts where state = 2 and look_at is not null and look_at <= ?1 order by look_at limit ?2) a
cross join messages m on m.id = a.message;

-- name: unheard_again
-- Rows: id, when to look again.
update attempts set look_at = c.value->>1 from jsonb_each(?1) c where attempts.id = c.value->>0;

-- name: cancel_notification
-- ?1 id, ?2 tenant, ?3 now.
insert into notifications (id, tenant, at, cancelled_at) values (?1, ?2, ?3, ?3)
on conflict (id) do update set cancelled_at = coalesce(cancelled_at, excluded.cancelled_at) where tenant = excluded.tenant;

-- name: messages_within
-- ?1: smallest, ?2: beyond the greatest message id. Ids of a notification's messages.
select json_group_array(id) from messages where id >= ?1 and id < ?2;

-- name: waits_due
-- ?1 priority, ?2 now, ?3 limit.
select json_group_array(json_array(json_array({message}), json(n.content), n.trace, n.category))
from (select message from waits where priority = ?1 and due_at is not null and due_at <= ?2 order by due_at, message limit ?3) w
join messages m on m.id = w.message
join notifications n on n.id = 'ntf_' || substr(m.id, 5, 32);

-- name: waits_tenants
-- ?1 key, ?2 priority, ?3 the tenant to begin with, ?4 how many. [tenant, parcels]: by skipping from one to the next, those before the
-- first afterwards. Counts stop at eight times an equal part of ?4.
with recursive onward (tenant) as (
  select * from (select tenant from waits where key = ?1 and key <> 'time' and priority = ?2 and tenant >= ?3 order by tenant limit 1)
  union all
  select (select w.tenant from waits w where w.key = ?1 and w.key <> 'time' and w.priority = ?2 and w.tenant > o.tenant order by w.tenant limit 1)
  from onward o where o.tenant is not null limit ?4
), again (tenant) as (
  select * from (select tenant from waits where key = ?1 and key <> 'time' and priority = ?2 and tenant < ?3 order by tenant limit 1)
  union all
  select (select w.tenant from waits w
    where w.key = ?1 and w.key <> 'time' and w.priority = ?2 and w.tenant > a.tenant and w.tenant < ?3 order by w.tenant limit 1)
  from again a where a.tenant is not null limit ?4
), ring (tenant) as materialized (
  select tenant from (
    select tenant from onward where tenant is not null union all select tenant from again where tenant is not null) limit ?4
)
select json_group_array(json_array(r.tenant, (
  select count(*) from (
    select 1 from waits w where w.key = ?1 and w.key <> 'time' and w.priority = ?2 and w.tenant = r.tenant
    limit 1 + 8 * ?4 / (select count(*) from ring)))))
from ring r;

-- name: waits_pull
-- ?1 key, ?2 priority, ?3 how many of each tenant, an object. From each tenant's first to its next, as often as it may.
with recursive walk (tenant, left, serial) as (
  select key, value, 0 from json_each(?3)
  union all
  select k.tenant, k.left - 1, (
    select w.serial from waits w
    where w.key = ?1 and w.key <> 'time' and w.priority = ?2 and w.tenant = k.tenant and w.serial > k.serial order by w.serial limit 1)
  from walk k where k.left > 0 and k.serial is not null
)
select json_group_array(json_array(json_array({message}), json(n.content), n.trace, n.category) order by k.serial)
from walk k
cross join waits w on w.key = ?1 and w.key <> 'time' and w.priority = ?2 and w.tenant = k.tenant and w.serial = k.serial
cross join messages m on m.id = w.message
cross join notifications n on n.id = 'ntf_' || substr(m.id, 5, 32);

-- name: waits_promoted
-- Rows: id, serial. Deletes only the waits that were read.
delete from waits where message in (
  select c.value->>0 from jsonb_each(?1) c cross join waits w on w.message = c.value->>0 and w.serial = c.value->>1);

-- name: waits_promoted_state
-- Rows as above; before the deletion.
update messages set state = 20, updated_at = ?2
from jsonb_each(?1) c cross join waits w on w.message = c.value->>0 and w.serial = c.value->>1
where messages.id = c.value->>0 and messages.state = 10;

-- name: waits_keys
-- Every (key, priority) under which something is parked, by skipping from one key to the next; counts stop at 1000.
with recursive keys (key) as (
  select * from (select key from waits where key <> 'time' order by key limit 1)
  union all
  select (select w.key from waits w where w.key <> 'time' and w.key > k.key order by w.key limit 1) from keys k where k.key is not null
)
select json_group_array(json_array(key, priority, count)) from (
  select k.key, p.value as priority, (
    select count(*) from (select 1 from waits w where w.key = k.key and w.key <> 'time' and w.priority = p.value limit 1000)) as count
  from keys k cross join json_each('[0, 1, 2, 3]') p where k.key is not null)
where count > 0;

-- name: waits_rebase
-- ?1 now, ?2 the earliest time that is too far ahead. Looks at every timed wait: once per start or step of the clock.
update waits set due_at = ?1 + max(0, waits.due_at - m.updated_at), until = ?1 + max(0, waits.due_at - m.updated_at)
from messages m
where m.id = waits.message and waits.key = 'time' and waits.due_at > ?1 and m.updated_at >= ?2 and m.state <> 10;

-- name: waits_rebased
-- As above; afterwards.
update messages set updated_at = ?1 from waits w
where w.message = messages.id and w.key = 'time' and messages.updated_at >= ?2 and messages.state <> 10;

-- name: waits_next
-- The first of each priority, and of those the first.
select min(first) from (
  select (select due_at from waits w where w.priority = p.value and w.due_at is not null order by due_at limit 1) as first
  from json_each('[0, 1, 2, 3]') p);

-- name: keys_existing
-- Rows: tenant, key. [position, id, fingerprint]
select json_group_array(json_array(c.key, k.id, k.fingerprint)) from jsonb_each(?1) c cross join keys k on k.tenant = c.value->>0 and k.key = c.value->>1;

-- name: keys_insert
-- Rows: tenant, key, id, fingerprint, at.
insert into keys (tenant, key, id, fingerprint, at) select value->>0, value->>1, value->>2, value->>3, value->>4 from jsonb_each(?1);

-- name: keys_expire
-- ?1: older than. In slices, so that it never holds the writer long.
delete from keys where (tenant, key) in (select tenant, key from keys where at < ?1 limit 500);

-- name: key_of
-- ?1 tenant, ?2 key.
select id from keys where tenant = ?1 and key = ?2;

-- name: process_counts
-- ?1 process, ?2 accepted, ?3 now.
insert into processes (process, accepted, started_at) values (?1, ?2, ?3)
on conflict (process) do update set accepted = excluded.accepted;

-- name: bundle_insert
-- ?1 seq, ?2 lane, ?3 count, ?4 at, ?5 body.
insert into bundles (seq, lane, count, at, body) values (?1, ?2, ?3, ?4, ?5);

-- name: bundles_done
-- ?1: seqs.
delete from bundles where seq in (select value from json_each(?1));

-- name: bundles_after
-- ?1 lane, ?2 seq, ?3 limit.
select seq, count, at, body from bundles where lane = ?1 and seq > ?2 order by seq limit ?3;

-- name: lanes
-- What every lane holds.
select lane, sum(count), min(at), max(seq) from bundles group by lane;

-- name: stretch
-- ?1 after this id, ?2 ids below, ?3 limit. Notifications in order: id, how many rows it may take to forget one.
select id, 1 + messages from notifications where id > ?1 and id < ?2 order by id limit ?3;

-- name: content_expire
-- ?1 ids, ?2 time. What was said is forgotten where all is over, and nothing has moved since then.
update notifications set content = '{}'
where id in (
  select n.id from json_each(?1) j cross join notifications n on n.id = j.value
  where n.planned = 1 and n.content <> '{}' and not exists (
    select 1 from messages m where m.id >= 'msg_' || substr(n.id, 5) and m.id < 'msg_' || substr(n.id, 5) || '~'
      and (m.state < 30 or m.updated_at >= ?2)));

-- name: notifications_old
-- ?1 ids, ?2 time. Those of which all is over, and nothing has moved since then.
select json_group_array(n.id) from json_each(?1) j cross join notifications n on n.id = j.value
where n.at < ?2 and not exists (
  select 1 from messages m where m.id >= 'msg_' || substr(n.id, 5) and m.id < 'msg_' || substr(n.id, 5) || '~'
    and (m.state < 30 or m.updated_at >= ?2));

-- name: forget_numbers
update processes set forgotten = max(forgotten, x.number)
from (select n.process as process, max(n.number) as number from json_each(?1) j cross join notifications n on n.id = j.value group by n.process) x
where processes.process = x.process;

-- name: delete_events
delete from events where subject in (select value from json_each(?1))
  or subject in (select m.id from json_each(?1) j cross join messages m on m.id >= 'msg_' || substr(j.value, 5) and m.id < 'msg_' || substr(j.value, 5) || '~');

-- name: delete_attempts
delete from attempts where id in (
  select a.id from json_each(?1) j cross join attempts a on a.id >= 'att_' || substr(j.value, 5) and a.id < 'att_' || substr(j.value, 5) || '~');

-- name: delete_messages
delete from messages where id in (
  select m.id from json_each(?1) j cross join messages m on m.id >= 'msg_' || substr(j.value, 5) and m.id < 'msg_' || substr(j.value, 5) || '~');

-- name: delete_notifications
delete from notifications where id in (select value from json_each(?1));

-- name: content_gone
-- ?1 notification id.
select planned = 1 and content = '{}' from notifications where id = ?1;

-- name: api_key_add
insert into api_keys (id, tenant, name, scopes, digest, created_at, expires_at, rate, used_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) on conflict (id) do nothing;

-- name: api_keys_found
-- ?1: ids (a JSON array).
select id, tenant, name, scopes, digest, created_at, expires_at, rate, used_at
from api_keys where id in (select value from json_each(?1));

-- name: api_keys_page
-- ?1: tenant, null for all; ?2, ?3: older than this one, null for the newest; ?4: how many.
select id, tenant, name, scopes, digest, created_at, expires_at, rate, used_at from api_keys
where (?1 is null or tenant = ?1) and (?2 is null or (created_at, id) < (?2, ?3))
order by created_at desc, id desc limit ?4;

-- name: api_key_revoke
-- ?1: tenant, null for any; ?2: id.
delete from api_keys where id = ?2 and (?1 is null or tenant = ?1);

-- name: api_keys_used
-- ?1: [id, when it was used], of each key.
update api_keys set used_at = max(coalesce(used_at, 0), u.at)
from (select value->>0 as id, max(value->>1) as at from json_each(?1) group by 1) u where api_keys.id = u.id;

-- name: inbox_add
-- ?1: [id, tenant, recipient, at, provider, attempt, said], of each item. Of who was erased meanwhile nothing is put there.
insert into inbox (id, tenant, recipient, at, provider, attempt, said, changed_at)
select value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>3 from json_each(?1) c
where not exists (select 1 from messages m where m.id = c.value->>0 and m.recipient is null)
on conflict (id) do nothing;

-- name: inbox_all
-- ?1 tenant, ?2 recipient, ?3 now; ?4, ?5: older than this one, null for the newest; ?6: how many.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox where tenant = ?1 and recipient = ?2 and archived_at is null and (snoozed_until is null or snoozed_until <= ?3)
  and (?4 is null or (at, id) < (?4, ?5))
order by at desc, id desc limit ?6;

-- name: inbox_unread
-- ?1 tenant, ?2 recipient, ?3 now; ?4, ?5: older than this one, null for the newest; ?6: how many.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox where tenant = ?1 and recipient = ?2 and archived_at is null and (snoozed_until is null or snoozed_until <= ?3) and read_at is null
  and (?4 is null or (at, id) < (?4, ?5))
order by at desc, id desc limit ?6;

-- name: inbox_archived
-- ?1 tenant, ?2 recipient, ?3 now; ?4, ?5: older than this one, null for the newest; ?6: how many.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox where tenant = ?1 and recipient = ?2 and archived_at is not null and ?3 > 0
  and (?4 is null or (at, id) < (?4, ?5))
order by at desc, id desc limit ?6;

-- name: inbox_snoozed
-- ?1 tenant, ?2 recipient, ?3 now; ?4, ?5: older than this one, null for the newest; ?6: how many.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox where tenant = ?1 and recipient = ?2 and archived_at is null and snoozed_until > ?3
  and (?4 is null or (at, id) < (?4, ?5))
order by at desc, id desc limit ?6;

-- name: inbox_named
-- ?1 tenant, ?2 recipient, ?3 ids (a JSON array), null for all that show at ?4.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox where tenant = ?1 and recipient = ?2 and case when ?3 is not null then id in (select value from json_each(?3))
  else archived_at is null and (snoozed_until is null or snoozed_until <= ?4) end;

-- name: inbox_mark
-- ?1: [id, delivered_at, read_at, archived_at, snoozed_until, changed_at, owed], of each item.
update inbox set delivered_at = v.value->>1, read_at = v.value->>2, archived_at = v.value->>3, snoozed_until = v.value->>4,
  changed_at = v.value->>5, owed = v.value->>6
from json_each(?1) v where inbox.id = v.value->>0;

-- name: inbox_counts
-- ?1 tenant, ?2 recipient, ?3 now.
select coalesce(sum(shown and read_at is null), 0), coalesce(sum(shown), 0), count(*), coalesce(max(changed_at), 0)
from (select read_at, changed_at, archived_at is null and (snoozed_until is null or snoozed_until <= ?3) as shown
  from inbox where tenant = ?1 and recipient = ?2);

-- name: inbox_owed
-- ?1: how many.
select id, tenant, recipient, at, provider, attempt, said, delivered_at, read_at, archived_at, snoozed_until, owed
from inbox indexed by inbox_owing where owed is not null order by changed_at limit ?1;

-- name: inbox_reported
-- ?1: [id, what was reported], of each.
update inbox set owed = null from json_each(?1) v where inbox.id = v.value->>0 and inbox.owed = v.value->>1;

-- name: inbox_forget
-- ?1 time, ?2 how many.
delete from inbox where id in (select id from inbox where at < ?1 order by at limit ?2);

-- name: recipients_of
-- Rows: tenant, id. [tenant, id, body, created_at, updated_at] of those that are known.
select json_group_array(json_array(r.tenant, r.id, r.body, r.created_at, r.updated_at))
from jsonb_each(?1) c cross join recipients r on r.tenant = c.value->>0 and r.id = c.value->>1;

-- name: recipients_page
-- ?1 tenant, ?2 after this id, ?3 limit. [id, body, created_at, updated_at], in the order of ids.
select json_group_array(json_array(id, body, created_at, updated_at))
from (select * from recipients where tenant = ?1 and id > ?2 order by id limit ?3);

-- name: recipients_save
-- Rows: tenant, id, body, created_at, updated_at.
insert into recipients (tenant, id, body, created_at, updated_at)
select value->>0, value->>1, value->>2, value->>3, value->>4 from jsonb_each(?1) where true
on conflict (tenant, id) do update set body = excluded.body, updated_at = excluded.updated_at;

-- name: recipient_delete
-- ?1 tenant, ?2 id.
delete from recipients where tenant = ?1 and id = ?2;

-- name: erasures_of
-- Rows: tenant, mark. [tenant, mark, at]
select json_group_array(json_array(e.tenant, e.mark, e.at))
from jsonb_each(?1) c cross join erasures e on e.tenant = c.value->>0 and e.mark = c.value->>1;

-- name: erasure_insert
-- ?1 tenant, ?2 mark, ?3 when.
insert into erasures (tenant, mark, at) values (?1, ?2, ?3) on conflict (tenant, mark) do update set at = max(at, excluded.at);

-- name: messages_of_recipient
-- ?1 tenant, ?2 the recipient's id, ?3 limit.
select json_group_array(id) from (select id from messages where recipient = ?2 and tenant = ?1 order by id limit ?3);

-- name: erase_messages
-- Rows: id, steps without addresses.
update messages set recipient = null, address = null, detail = '', about = null, steps = c.value->1 from jsonb_each(?1) c where messages.id = c.value->>0;

-- name: erase_attempts
-- ?1: attempt ids. Vendors quote addresses.
update attempts set detail = '' where id in (select value from json_each(?1)) and detail <> '';

-- name: erase_contents
-- ?1: notification ids. What was said to nobody else is forgotten.
update notifications set content = '{}', metadata = '{}'
where id in (select value from json_each(?1)) and planned = 1 and not exists (
  select 1 from messages m where m.id >= 'msg_' || substr(notifications.id, 5) and m.id < 'msg_' || substr(notifications.id, 5) || '~'
    and (m.recipient is not null or m.address is not null));

-- name: suppressions_any
select exists (select 1 from suppressions);

-- name: suppressed
-- Rows: message, tenant, channel, marks, now, spared. [position, reason] of those whose address must not be sent to. The notification is looked at
-- only for what holds for marketing alone.
select json_group_array(json_array(x.key, x.reason)) from (
  select c.key, (
    select min(s.reason) from json_each(c.value->3) k cross join suppressions s on s.mark = k.value
    where s.tenant in ('', c.value->>1) and s.channel in ('', c.value->>2) and (s.expires_at is null or s.expires_at > c.value->>4)
      and s.id <> c.value->>5
      and (s.category = 'all' or exists (
        select 1 from notifications n where n.id = 'ntf_' || substr(c.value->>0, 5, 32) and n.category = s.category))) as reason
  from jsonb_each(?1) c) x
where x.reason is not null;

-- name: suppressions_save
-- Rows: id, tenant, channel, mark, category, masked, reason, source, created_at, expires_at.
insert into suppressions (id, tenant, channel, mark, category, masked, reason, source, created_at, expires_at)
select value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, value->>9 from jsonb_each(?1) where true
on conflict (id) do update set reason = excluded.reason, source = excluded.source, expires_at = excluded.expires_at;

-- name: suppressions_over
-- ?1 now. In slices.
delete from suppressions where id in (select id from suppressions where expires_at <= ?1 order by expires_at limit 100);

-- name: suppressions_found
-- ?1 ids of which to read all: [id, tenant, channel, mark, masked, reason, source, created_at, category, expires_at]
select json_group_array(json_array({suppression})) from json_each(?1) j cross join suppressions s on s.id = j.value;

-- name: suppressions_lift
-- ?1 tenant, ?2 id.
delete from suppressions where id = ?2 and tenant = ?1;

-- name: unsubscribed
-- ?1 message, ?2 tenant, ?3 now, ?4 the event, ?5 its detail. Once of a message.
insert into events (at, tenant, type, subject, detail)
select ?3, m.tenant, ?4, m.id, ?5 from messages m
where m.id = ?1 and m.tenant = ?2 and not exists (select 1 from events e where e.subject = m.id and e.type = ?4);

-- name: suppressions_of
-- ?1 tenants, ?2 marks, ?3 now.
select json_group_array(json_array({suppression})) from (
  select s.* from json_each(?2) k cross join suppressions s on s.mark = k.value
  where s.tenant in (select value from json_each(?1)) and (s.expires_at is null or s.expires_at > ?3) order by s.id) s;

-- name: suppressions_page
-- ?1 tenant, ?2 after this id, ?3 now, ?4 channel, ?5 reason and ?7 source, null for any, ?6 limit.
select json_group_array(json_array({suppression})) from (
  select * from suppressions where tenant = ?1 and id > ?2 and (expires_at is null or expires_at > ?3)
    and (?4 is null or channel = ?4) and (?5 is null or reason = ?5)
    and (?7 is null or source = ?7) order by id limit ?6) s;

-- name: suppressions_start
-- Rows: mark, channel, source. What was put there by that.
delete from suppressions where id in (
  select s.id from jsonb_each(?1) c cross join suppressions s
  on s.mark = c.value->>0 and s.channel = c.value->>1 and s.source = c.value->>2);

-- name: meta_set
insert into meta (name, value) select value->>0, value->>1 from jsonb_each(?1) where true
on conflict (name) do update set value = excluded.value;

-- name: meta_credentials
-- What is known of the providers' credentials: `credential`, the provider and what it is, and the number.
select name, value from meta where name >= 'credential ' and name < 'credential!';

-- name: notices_delete
-- Those with smaller ids than ?1, which begin with their time. In slices.
delete from events where seq in (select seq from events where subject >= 'prv_' and subject < ?1 order by subject limit 200);

-- name: replies_insert
-- Rows: provider, ref, id, mark, at. [id] of those that were not heard before.
insert into replies (provider, ref, id, mark, at)
select value->>0, value->>1, value->>2, value->>3, value->>4 from jsonb_each(?1) where true
on conflict (provider, ref) do nothing returning id;

-- name: replies_found
-- Rows: provider, ref. [provider, ref, id, at] of those that are known.
select json_group_array(json_array(r.provider, r.ref, r.id, r.at)) from jsonb_each(?1) c
cross join replies r on r.provider = c.value->>0 and r.ref = c.value->>1;

-- name: replies_overtaken
-- ?1 mark, ?2 type of the event, ?3 channel, ?4 how, ?5 since when. Whether that person has asked for anything there, and later.
select exists (
  select 1 from replies r cross join events e on e.subject = r.id
  where r.mark = ?1 and e.type = ?2 and e.detail->>'channel' = ?3 and e.detail->>'how' = ?4 and e.detail->>'word' in ('stop', 'start')
    and e.detail->>'said_at' > ?5);

-- name: replies_old
-- ?1 before. In slices, with their events.
select json_group_array(id) from (select id from replies where at < ?1 order by at limit 200);

-- name: replies_delete
-- ?1: ids.
delete from replies where id in (select value from json_each(?1));

-- name: reply_events_delete
-- ?1: ids.
delete from events where subject in (select value from json_each(?1));

-- name: erase_replies
-- ?1 tenant, ?2 marks. What somebody said back; that it was heard stays known.
delete from events where tenant = ?1 and subject in (
  select r.id from json_each(?2) k cross join replies r on r.mark = k.value);

-- name: said_back
-- ?1 tenant, ?2 marks, ?3 below this number, ?4 limit. What was said back from addresses of these marks, newest first.
select e.seq, e.at, e.tenant, e.type, e.subject, e.detail
from json_each(?2) k cross join replies r on r.mark = k.value cross join events e on e.subject = r.id
where e.tenant = ?1 and e.seq < ?3 order by e.seq desc limit ?4;

-- name: erase_postings
-- ?1: messages and notifications; ?2 tenant, ?3 marks. What was, or was to be, told of a person.
delete from postings where endpoint in (select id from endpoints where tenant = ?2) and subject in (
  select value from json_each(?1) union all
  select r.id from json_each(?3) k cross join replies r on r.mark = k.value);

-- name: erase_inbox
-- ?1 tenant, ?2 recipient.
delete from inbox where tenant = ?1 and recipient = ?2;

-- name: session_add
-- ?1 id, ?2 kind, ?3 tenant, ?4 sealed, ?5 way, ?6 made_at, ?7 seen_at, ?8 until.
insert into sessions (id, kind, tenant, sealed, way, made_at, seen_at, until) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- name: sessions_over
-- ?1 now.
delete from sessions where until <= ?1;

-- name: session_of
-- ?1 id.
select id, kind, tenant, sealed, way, made_at, seen_at, until from sessions where id = ?1;

-- name: session_seen
-- ?1 id, ?2 when.
update sessions set seen_at = max(seen_at, ?2) where id = ?1;

-- name: session_take
-- ?1 id.
delete from sessions where id = ?1 returning id, kind, tenant, sealed, way, made_at, seen_at, until;

-- name: sessions_all
-- ?1 tenant.
select id, kind, tenant, sealed, way, made_at, seen_at, until from sessions where tenant = ?1 and kind = 'session' order by made_at desc, id desc;

-- name: sessions_end
-- ?1 tenant, ?2 id or null.
delete from sessions where tenant = ?1 and kind = 'session' and (?2 is null or id = ?2) returning id;

-- name: backlog_counts
-- ?1 tenant, ?2 where counting stops. Dead letters, doubts.
select
  (select count(*) from (select 1 from messages where dead = 1 and tenant = ?1 limit ?2)),
  (select count(*) from (select 1 from messages where state in (10, 11, 30, 50, 51, 52, 53) and state = 30 and tenant = ?1 limit ?2));

-- name: backlog_parked
-- ?1 tenant, ?2 where counting stops. What of the tenant is parked under each key and priority: kind, name, how many, when the
-- first of them was accepted.
with recursive keys (key) as (
  select * from (select key from waits where key <> 'time' order by key limit 1)
  union all
  select (select w.key from waits w where w.key <> 'time' and w.key > k.key order by w.key limit 1) from keys k where k.key is not null
), places (key, priority, serial) as materialized (
  select k.key, p.value, (
    select w.serial from waits w where w.key = k.key and w.key <> 'time' and w.priority = p.value and w.tenant = ?1 order by w.serial limit 1)
  from keys k cross join json_each('[0, 1, 2, 3]') p where k.key is not null
)
select f.kind, coalesce(f.name, substr(f.key, instr(f.key, ':') + 1)), (
  select count(*) from (
    select 1 from waits w where w.key = f.key and w.key <> 'time' and w.priority = f.priority and w.tenant = ?1 limit ?2)), m.accepted_at
from places s cross join waits f on f.key = s.key and f.key <> 'time' and f.priority = s.priority and f.tenant = ?1 and f.serial = s.serial
cross join messages m on m.id = f.message;

-- name: accepted_within
-- ?1 the lowest id, ?2 ids below, ?3 where counting stops, ?4 tenant. How many messages of the tenant's are between them.
select count(*) filter (where tenant = ?4) from (select tenant from messages where id >= ?1 and id < ?2 limit ?3);

-- name: strip_samples
-- ?1 the lowest id, ?2 ids below, ?3 how many, ?4 tenant. The newest messages between them: when accepted, state, channel, provider, latency,
-- whether they are the tenant's: one array of arrays.
select json_group_array(json_array(m.accepted_at, m.state, m.channel, m.provider,
  a.started_at - max(m.accepted_at, coalesce((select n.send_at from notifications n where n.id = 'ntf_' || substr(m.id, 5, 32)), 0)), m.tenant = ?4)
  order by m.id desc)
from (select id, tenant, state, number, accepted_at, channel, provider from messages where id >= ?1 and id < ?2 order by id desc limit ?3) m
left join attempts a on a.id = 'att_' || substr(m.id, 5) || '001' and m.number > 0;

-- name: type_newest
-- ?1: tenant, ?2: name. Without a body where the type was deleted.
select version, at, body from types where tenant = ?1 and name = ?2 order by version desc limit 1;

-- name: type_version
select version, at, body from types where tenant = ?1 and name = ?2 and version = ?3;

-- name: types_listed
-- The newest version of each type behind ?2, by name.
select t.name, t.version, t.at, t.body from types t
where t.tenant = ?1 and t.name > ?2 and t.body is not null
  and t.version = (select max(x.version) from types x where x.tenant = t.tenant and x.name = t.name)
order by t.name limit ?3;

-- name: type_insert
insert into types (tenant, name, version, at, body) values (?1, ?2, ?3, ?4, ?5);

-- name: type_forget
-- The versions before ?3, the newest.
delete from types where tenant = ?1 and name = ?2 and version < ?3;

-- name: type_end
update types set body = null where tenant = ?1 and name = ?2 and version = ?3;

-- name: layout_newest
-- ?1: tenant, ?2: name. Without a body where it was deleted.
select version, at, body from layouts where tenant = ?1 and name = ?2 order by version desc limit 1;

-- name: layout_version
select version, at, body from layouts where tenant = ?1 and name = ?2 and version = ?3;

-- name: layouts_listed
-- The newest version of each layout behind ?2, by name.
select t.name, t.version, t.at, t.body from layouts t
where t.tenant = ?1 and t.name > ?2 and t.body is not null
  and t.version = (select max(x.version) from layouts x where x.tenant = t.tenant and x.name = t.name)
order by t.name limit ?3;

-- name: layout_insert
insert into layouts (tenant, name, version, at, body) values (?1, ?2, ?3, ?4, ?5);

-- name: layout_forget
-- The versions before ?3, the newest.
delete from layouts where tenant = ?1 and name = ?2 and version < ?3;

-- name: layout_end
update layouts set body = null where tenant = ?1 and name = ?2 and version = ?3;

-- name: endpoint_add
-- ?1 … ?14: the endpoint, as its columns stand.
insert into endpoints (id, tenant, url, description, types, secret, previous, previous_until, disabled_for, created_at, seen, failing_since, failed_at, version)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) on conflict (id) do nothing;

-- name: endpoint_found
-- ?1 tenant, ?2 id.
select id, tenant, url, description, types, secret, previous, previous_until, disabled_for, created_at, seen, failing_since, failed_at, version
from endpoints where tenant = ?1 and id = ?2;

-- name: endpoint_any
-- ?1 id, whoever's.
select id, tenant, url, description, types, secret, previous, previous_until, disabled_for, created_at, seen, failing_since, failed_at, version
from endpoints where id = ?1;

-- name: endpoints_page
-- ?1 tenant; ?2, ?3: older than this one, null for the newest; ?4 how many.
select id, tenant, url, description, types, secret, previous, previous_until, disabled_for, created_at, seen, failing_since, failed_at, version
from endpoints where tenant = ?1 and (?2 is null or (created_at, id) < (?2, ?3)) order by created_at desc, id desc limit ?4;

-- name: endpoints_disabled
-- How many are posted to no more, by why.
select disabled_for, count(*) from endpoints where disabled_for is not null group by disabled_for;

-- name: postings_count
-- ?1 at most. How many wait.
select count(*) from (select 1 from postings where due_at is not null limit ?1) waiting;

-- name: endpoints_live
-- Without arguments. Few rows: a scan.
select id, tenant, url, description, types, secret, previous, previous_until, disabled_for, created_at, seen, failing_since, failed_at, version
from endpoints where disabled_for is null order by id;

-- name: endpoint_save
-- ?1 id, ?2 url, ?3 description, ?4 types, ?5 secret, ?6 previous, ?7 previous_until, ?8 disabled_for, ?9 failing_since, ?10 failed_at,
-- ?11 version. Where nobody else has changed it.
update endpoints set url = ?2, description = ?3, types = ?4, secret = ?5, previous = ?6, previous_until = ?7, disabled_for = ?8,
  failing_since = ?9, failed_at = ?10, version = ?11
where id = ?1 and version = ?11 - 1;

-- name: endpoint_remove
-- ?1 tenant, ?2 id.
delete from endpoints where tenant = ?1 and id = ?2;

-- name: endpoint_seen
-- ?1 id, ?2 where it stands, ?3 its version, ?4 where it stands then.
update endpoints set seen = ?4 where id = ?1 and seen = ?2 and version = ?3;

-- name: erase_drafts
-- ?1 tenant. What is being made of a person's events is not written: whoever makes it sees its endpoint changed.
update endpoints set version = version + 1 where tenant = ?1;

-- name: endpoint_judged
-- ?1 id, ?2 failing_since, ?3 failed_at, ?4 disabled_for, ?5 version.
update endpoints set failing_since = ?2, failed_at = ?3, disabled_for = ?4, version = ?5 where id = ?1;

-- name: postings_add
-- ?1: [id, endpoint, seq, type, subject, at, body, state, due_at, count, began, tries], of each.
insert into postings (id, endpoint, seq, type, subject, at, body, state, due_at, count, began, tries)
select value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, value->>9, value->>10,
  value->>11
from json_each(?1) where true on conflict (id) do nothing;

-- name: postings_waiting
-- ?1: endpoints; ?2 now. Which of them have something due.
select e.value from json_each(?1) e where exists (select 1 from postings where endpoint = e.value and due_at <= ?2);

-- name: postings_take
-- ?1 endpoint, ?2 how many, ?3 now, ?4 until when nobody else is given them.
update postings set due_at = ?4
where id in (select id from postings where endpoint = ?1 and due_at <= ?3 order by due_at, seq limit ?2)
returning id, endpoint, seq, type, subject, at, body, state, due_at, count, began, tries;

-- name: posting_tried
-- ?1 id, ?2 state, ?3 due_at, ?4 count, ?5 tries. Where nobody else has tried it.
update postings set state = ?2, due_at = ?3, count = ?4, tries = ?5 where id = ?1 and count = ?4 - 1;

-- name: postings_page
-- ?1 endpoint, ?2 state, null for any; ?3: before this event, null for the newest; ?4 how many.
select id, endpoint, seq, type, subject, at, body, state, due_at, count, began, tries
from postings where endpoint = ?1 and (?2 is null or state = ?2) and (?3 is null or seq < ?3) order by seq desc limit ?4;

-- name: postings_replay
-- ?1 endpoint, ?2 ids, null for what failed; ?3 now, ?4 how many.
update postings set state = 'pending', due_at = ?3, began = count where id in (
  select id from postings where endpoint = ?1
    and case when ?2 is null then state = 'failed' else state <> 'pending' and id in (select value from json_each(?2)) end
  order by seq limit ?4
) returning id;

-- name: postings_purge
-- ?1 endpoint, ?2 how many.
delete from postings where id in (select id from postings where endpoint = ?1 limit ?2);

-- name: postings_forget
-- ?1 time, ?2 how many.
delete from postings where id in (select id from postings where at < ?1 order by at limit ?2);
