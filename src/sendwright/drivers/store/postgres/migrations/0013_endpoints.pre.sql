-- The operator's own services. Secrets are sealed under a key that is not in the database. `types` are words.
create table endpoints (
  id text collate "C" primary key,
  tenant text not null,
  url text not null,
  description text not null,
  types text not null,
  secret bytea not null,
  previous bytea,
  previous_until bigint,
  disabled_for text,
  created_at bigint not null,
  seen bigint not null,
  failing_since bigint,
  failed_at bigint,
  version bigint not null
);

create index endpoints_of on endpoints (tenant, created_at, id);

-- Events on their way to them. `seq` is the event's; `tries` is JSON.
create table postings (
  id text collate "C" primary key,
  endpoint text collate "C" not null,
  seq bigint not null,
  type text not null,
  subject text collate "C" not null,
  at bigint not null,
  body text not null,
  state text not null,
  due_at bigint,
  count integer not null,
  began integer not null,
  tries text not null
);

create index postings_of on postings (endpoint, seq);
create index postings_due on postings (endpoint, due_at, seq) where due_at is not null;
create index postings_by_age on postings (at);
create index postings_by_subject on postings (subject);
