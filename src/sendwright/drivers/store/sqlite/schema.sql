-- The embedded store and bus: one file, one process. Times are ms since 1970, states the codes of model/states.py.
-- {message_states} and {attempt_states} are filled in from that table.

create table meta (
  name text primary key,
  value integer not null
) without rowid;

-- What a caller asked for. A row that is not planned yet stands for a cancellation that came first.
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
  trace text,
  type text
) without rowid;

create index notifications_by_key on notifications (tenant, key) where key is not null;

-- Kinds of notifications, every version of them. A type that was deleted has no bodies, and keeps the number of its last version.
create table types (
  tenant text not null,
  name text not null,
  version integer not null,
  at integer not null,
  body text,
  primary key (tenant, name, version)
) without rowid;

-- What stands around mails, likewise.
create table layouts (
  tenant text not null,
  name text not null,
  version integer not null,
  at integer not null,
  body text,
  primary key (tenant, name, version)
) without rowid;

-- One recipient's copy. This row decides: whoever wants to send, end, park or cancel compares and sets it.
create table messages (
  id text primary key,
  tenant text not null,
  state integer not null check (state in ({message_states})),
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
  steps text not null,
  about text
) without rowid;

create index messages_unusual on messages (state, id) where state in (10, 11, 30, 50, 51, 52, 53);
create index messages_doubled on messages (id) where doubled = 1;
create index messages_dead on messages (id) where dead = 1;
create index messages_by_recipient on messages (recipient, id) where recipient is not null;

-- One call of one provider. `sending` is on disk before the first byte leaves.
create table attempts (
  id text primary key,
  message text not null,
  number integer not null,
  step integer not null,
  channel text not null,
  provider text not null,
  state integer not null check (state in ({attempt_states})),
  started_at integer not null,
  deadline_at integer not null,
  finished_at integer,
  owner text,
  ref text,
  reason text,
  detail text not null default '',
  by_ref integer not null default 1,
  twice integer not null default 0,
  repeats integer not null default 0,
  look_at integer,
  call_id text
) without rowid;

create index attempts_open on attempts (deadline_at) where state = 0;
-- References are random, so each entry dirties a page of its own: only for providers that don't echo our id.
create index attempts_by_ref on attempts (provider, ref) where by_ref = 1 and ref is not null;

create index attempts_unheard on attempts (look_at) where state = 2 and look_at is not null;

-- All waiting: retries, later steps, scheduled sends, closed breakers, limits. `tenant` is the message's: tenants take turns.
create table waits (
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

create index waits_due on waits (priority, due_at, message) where due_at is not null;
create index waits_parked on waits (key, priority, tenant, serial) where key <> 'time';

-- What happened, written by the transaction in which it did. A number is never given twice, though retention takes the last
-- row: somebody follows by it.
create table events (
  seq integer primary key autoincrement,
  at integer not null,
  tenant text not null,
  type text not null,
  subject text not null,
  detail text not null default ''
);

create index events_by_subject on events (subject);

-- Receipts whose reference nobody knows yet.
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

-- How many notifications each accepting process has numbered: the first of the two ways to count.
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

-- The routes whose order was set at run time. `providers` is a JSON array.
create table routes (
  channel text primary key,
  providers text not null
) without rowid;

-- The directory of recipients: `body` holds what is known of one, as JSON.
create table recipients (
  tenant text not null,
  id text not null,
  body text not null,
  created_at integer not null,
  updated_at integer not null,
  primary key (tenant, id)
) without rowid;

-- Who was erased, by the keyed hash of the id: what was accepted for them before is not sent, and makes them known to nobody.
create table erasures (
  tenant text not null,
  mark text not null,
  at integer not null,
  primary key (tenant, mark)
) without rowid;

-- Who must not be sent to. `mark` is a keyed hash of the address; no channel, or no tenant, is every one of them.
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

-- What people have said back, by the provider's own id: said twice, it is told once. Its event has the row's id as subject.
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

-- The bus: bundles of parcels, in lanes. A row lives until its bundle is done.
create table bundles (
  seq integer primary key,
  lane text not null,
  count integer not null,
  at integer not null,
  body blob not null
);

create index bundles_by_lane on bundles (lane, seq);

-- What no worker could read.
create table dead_parcels (
  id text primary key,
  tenant text not null,
  kind text not null,
  lane text not null,
  at integer not null,
  problem text not null,
  body blob not null,
  version integer
) without rowid;

-- What may have ended whoever took it, and how often somebody has set about it since.
create table trials (
  id text primary key,
  count integer not null,
  by text not null,
  at integer not null
) without rowid;

-- API keys. Of a key itself there is its digest alone, made under a key that is not in the file. `scopes` are words.
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

-- What lies in people's inboxes. `id` is the message's; `said` is JSON.
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
  changed_at integer not null,
  owed integer
) without rowid;

create index inbox_of on inbox (tenant, recipient, at, id);
create index inbox_by_age on inbox (at);
create index inbox_owing on inbox (changed_at) where owed is not null;

-- Who is signed in to the dashboard, and links to sign in by. `sealed` is in hexadecimal digits.
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

-- The operator's own services. Secrets are sealed under a key that is not in the file. `types` are words.
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

-- Events on their way to them. `seq` is the event's; `tries` is JSON.
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

insert into meta (name, value) values ('schema', 10), ('epoch', 1);
