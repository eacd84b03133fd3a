-- The schema of the version before, as it made its files: what this version must be able to open.

create table meta (
  name text primary key,
  value integer not null
) without rowid;

create table notifications (
  id text primary key,
  tenant text not null,
  at integer not null,
  priority integer not null default 2,
  category text not null default 'transactional',
  on_doubt text not null default 'resend' check (on_doubt in ('resend', 'hold')),
  send_at integer,
  expires_at integer,
  key text,
  process text,
  number integer,
  messages integer not null default 0,
  planned integer not null default 0,
  cancelled_at integer,
  content text,
  metadata text,
  trace text
) without rowid;

create index notifications_by_key on notifications (tenant, key) where key is not null;

create table messages (
  id text primary key,
  tenant text not null,
  state integer not null check (state in (0, 10, 11, 20, 21, 30, 40, 50, 51, 52, 53, 60, 70)),
  step integer not null default 0,
  number integer not null default 0,
  calls integer not null default 0,
  token text,
  priority integer not null,
  on_doubt text not null,
  expires_at integer,
  accepted_at integer not null,
  updated_at integer not null,
  recipient text,
  channel text,
  address text,
  provider text,
  reason text,
  detail text not null default '',
  doubled integer not null default 0,
  dead integer not null default 0,
  backoff_s real not null default 0,
  round text not null default '[]',
  since integer not null default 0,
  steps text not null
) without rowid;

create index messages_unusual on messages (state, id) where state in (10, 11, 30, 50, 51, 52, 53);
create index messages_doubled on messages (id) where doubled = 1;
create index messages_dead on messages (id) where dead = 1;
create index messages_by_recipient on messages (recipient, id) where recipient is not null;

create table attempts (
  id text primary key,
  message text not null,
  number integer not null,
  step integer not null,
  channel text not null,
  provider text not null,
  state integer not null check (state in (0, 1, 2, 3, 4, 5, 6)),
  started_at integer not null,
  deadline_at integer not null,
  finished_at integer,
  owner text,
  ref text,
  reason text,
  detail text not null default '',
  by_ref integer not null default 1,
  twice integer not null default 0,
  repeats integer not null default 0
) without rowid;

create index attempts_open on attempts (deadline_at) where state = 0;
create index attempts_by_ref on attempts (provider, ref) where by_ref = 1 and ref is not null;

create table waits (
  message text primary key,
  key text not null,
  priority integer not null,
  due_at integer,
  kind text not null,
  name text,
  until integer,
  at integer not null,
  serial integer not null
) without rowid;

create index waits_due on waits (priority, due_at, message) where due_at is not null;
create index waits_parked on waits (key, priority, serial) where key <> 'time';

create table events (
  seq integer primary key autoincrement,
  at integer not null,
  tenant text not null,
  type text not null,
  subject text not null,
  detail text not null default ''
);

create index events_by_subject on events (subject);

create table strays (
  provider text not null,
  ref text not null,
  at integer not null,
  sighting text not null
);

create index strays_by_ref on strays (provider, ref);

create table keys (
  tenant text not null,
  key text not null,
  id text not null,
  fingerprint text not null,
  at integer not null,
  primary key (tenant, key)
) without rowid;

create index keys_by_age on keys (at);

create table processes (
  process text primary key,
  accepted integer not null,
  forgotten integer not null default 0,
  started_at integer not null
) without rowid;

create table switches (
  provider text primary key,
  enabled integer,
  weight integer,
  rate text,
  concurrency integer
) without rowid;

create table bundles (
  seq integer primary key,
  lane text not null,
  count integer not null,
  at integer not null,
  body blob not null
);

create index bundles_by_lane on bundles (lane, seq);

create table dead_parcels (
  id text primary key,
  tenant text not null,
  kind text not null,
  lane text not null,
  at integer not null,
  problem text not null,
  body blob not null
) without rowid;

insert into meta (name, value) values ('schema', 2), ('epoch', 1);

-- A message that was taken, and one that waits for its time.
insert into notifications (id, tenant, at, messages, planned, content) values
  ('ntf_0000000000000000000000000000000a', 'acme', 1800000000000, 1, 1, '{"body":"Hello"}'),
  ('ntf_0000000000000000000000000000000b', 'acme', 1800000000000, 1, 1, '{"body":"Hello"}');
insert into messages (id, tenant, state, number, priority, on_doubt, accepted_at, updated_at, channel, address, steps) values
  ('msg_0000000000000000000000000000000a00', 'acme', 40, 1, 2, 'resend', 1800000000000, 1800000000000, 'sms', '+15550100001', '[["sms","+15550100001"]]'),
  ('msg_0000000000000000000000000000000b00', 'acme', 20, 0, 2, 'resend', 1800000000000, 1800000000000, 'sms', '+15550100001', '[["sms","+15550100001"]]');
insert into attempts (id, message, number, step, channel, provider, state, started_at, deadline_at, finished_at, ref) values
  ('att_0000000000000000000000000000000a00001', 'msg_0000000000000000000000000000000a00', 1, 0, 'sms', 'main', 2, 1800000000000, 1800000010000, 1800000000100, 'SM1');
insert into waits (message, key, priority, due_at, kind, at, serial) values
  ('msg_0000000000000000000000000000000b00', 'route:sms', 2, 1800000060000, 'provider', 1800000000000, 1);
insert into dead_parcels (id, tenant, kind, lane, at, problem, body) values
  ('par_b5ca950ebedb40efc98606f2e4904d6f', '', 'parcel', 'sms.normal', 1800000000000, 'nobody can read it', x'37');
