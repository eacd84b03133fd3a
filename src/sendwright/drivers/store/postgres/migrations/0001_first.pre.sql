-- The whole store as it is at first. Times are ms since 1970, states the codes of model/states.py.
-- {message_states} and {attempt_states} are filled in from that table. Ids are compared byte by byte, whatever the database's collation.

-- Switches and routes are decided under an epoch. Claims read it, which nothing slows; who raises it locks the table first,
-- and so waits until those that have read the old one are committed.
create table epoch (value bigint not null);
insert into epoch values (1);

-- An event's number is this value + its transaction's number × 4096 + its place in it. Raised when the database was restored into a
-- server that counts its transactions anew.
create table event_base (value bigint not null);
insert into event_base values (0);

-- What a caller asked for. A row that is not planned yet stands for a cancellation that came first.
create table notifications (
  id text collate "C" primary key,
  tenant text not null,
  at bigint not null,
  priority smallint not null default 2,
  category text not null default 'transactional',
  on_doubt text not null default 'resend' check (on_doubt in ('resend', 'hold')),
  send_at bigint,
  expires_at bigint,
  key text collate "C",
  process text,
  number bigint,
  messages integer not null default 0,
  planned boolean not null default false,
  cancelled_at bigint,
  content text,
  metadata text,
  trace text
);

create index notifications_by_key on notifications (tenant, key) where key is not null;

-- One recipient's copy. This row decides: whoever wants to send, end, park or cancel locks it, compares and sets it.
-- `listed` is the state where that is unusual: no index has the state itself, so that the straight path's updates stay on their page.
create table messages (
  id text collate "C" primary key,
  tenant text not null,
  state smallint not null check (state in ({message_states})),
  listed smallint generated always as (case when state in (10, 11, 30, 50, 51, 52, 53) then state end) stored,
  step smallint not null default 0,
  number integer not null default 0,
  calls integer not null default 0,
  token text,
  priority smallint not null,
  on_doubt text not null,
  expires_at bigint,
  accepted_at bigint not null,
  updated_at bigint not null,
  recipient text collate "C",
  channel text,
  address text,
  provider text,
  reason text,
  detail text not null default '',
  doubled boolean not null default false,
  dead boolean not null default false,
  backoff_s double precision not null default 0,
  round text not null default '[]',
  since integer not null default 0,
  steps text not null
) with (fillfactor = 70);

create index messages_unusual on messages (listed, id) where listed is not null;
create index messages_doubled on messages (id) where doubled;
create index messages_dead on messages (id) where dead;
create index messages_by_recipient on messages (recipient, id) where recipient is not null;

-- One call of one provider. `sending` is committed before the first byte leaves. A partition holds the ids of one day, by the
-- time inside the message's own id: so the key is unique over all of them, and the same claim finds the same row on any day.
create table attempts (
  id text collate "C" primary key,
  number integer not null,
  step smallint not null,
  channel text not null,
  provider text not null,
  state smallint not null check (state in ({attempt_states})),
  started_at bigint not null,
  deadline_at bigint not null,
  finished_at bigint,
  owner text,
  ref text collate "C",
  reason text,
  detail text not null default '',
  by_ref boolean not null default true,
  twice boolean not null default false,
  repeats integer not null default 0
) partition by range (id);

create index attempts_open on attempts (deadline_at) where state = 0;
-- References are random, so each entry dirties a page of its own: only for providers that don't echo our id.
create index attempts_by_ref on attempts (provider, ref) where by_ref and ref is not null;

-- All waiting: retries, later steps, scheduled sends, closed breakers, limits. A scheduler leases what it is about to publish.
create sequence wait_serials;
create table waits (
  message text collate "C" primary key,
  key text collate "C" not null,
  priority smallint not null,
  due_at bigint,
  kind text not null,
  name text,
  until bigint,
  at bigint not null,
  serial bigint not null default nextval('wait_serials'),
  holder text,
  leased_until timestamptz
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create index waits_due on waits (priority, due_at, message) where due_at is not null;
create index waits_parked on waits (key, priority, serial) where key <> 'time';

-- The waits of those messages, as they are committed now: for statements whose own snapshot may be older. Null, for a place in a join.
create function delete_waits(of_messages text[]) returns void language plpgsql as $$
begin
  if exists (select from waits) then
    delete from waits where message = any(of_messages);
  end if;
end $$;

-- What happened, written by the transaction in which it did. A partition holds what happened to the ids of one day (days since 1970).
create table events (
  seq bigint not null,
  day integer not null,
  at bigint not null,
  tenant text not null,
  type text not null,
  subject text collate "C" not null,
  detail text not null default ''
) partition by range (day);

create index events_by_seq on events (seq);
create index events_by_subject on events (subject);

-- Receipts whose reference nobody knows yet.
create table strays (
  id bigint generated always as identity primary key,
  provider text not null,
  ref text collate "C" not null,
  at bigint not null,
  sighting text not null
);

create index strays_by_ref on strays (provider, ref);

-- Idempotency keys. One is reserved before its notification is published under the row's id, and `published` afterwards.
create table keys (
  tenant text collate "C" not null,
  key text collate "C" not null,
  id text collate "C" not null,
  fingerprint bytea not null,
  at bigint not null,
  published boolean not null default false,
  owner text not null,
  reserved_at timestamptz not null,
  primary key (tenant, key)
) with (fillfactor = 80);

create index keys_by_age on keys (at);

-- How many notifications each accepting process has numbered, as it last reported: the first of the two ways to count. `overdue` were
-- counted so long ago that they should have been planned.
create table processes (
  process text primary key,
  accepted bigint not null,
  reported_at bigint not null,
  marked bigint not null default 0,
  marked_at bigint not null,
  overdue bigint not null default 0,
  forgotten bigint not null default 0
);

-- Numbers that were given to a notification which was published again under its id: its row has another one.
create table repeats (
  process text not null,
  number bigint not null,
  notification text collate "C" not null,
  primary key (process, number)
);

create index repeats_by_notification on repeats (notification);

create table switches (
  provider text primary key,
  enabled boolean,
  weight integer,
  rate text,
  concurrency integer
);

-- What no worker could read.
create table dead_parcels (
  id text collate "C" primary key,
  lane text not null,
  at bigint not null,
  problem text not null,
  body bytea not null
);
