-- The directory of recipients: `body` holds what is known of one, as JSON.
create table recipients (
  tenant text collate "C" not null,
  id text collate "C" not null,
  body text not null,
  created_at bigint not null,
  updated_at bigint not null,
  primary key (tenant, id)
);

-- Who was erased, by the keyed hash of the id: what was accepted for them before is not sent, and makes them known to nobody.
create table erasures (
  tenant text collate "C" not null,
  mark text collate "C" not null,
  at bigint not null,
  primary key (tenant, mark)
);

-- Who must not be sent to. `mark` is a keyed hash of the address; no channel, or no tenant, is every one of them.
create table suppressions (
  id text collate "C" primary key,
  tenant text collate "C" not null,
  channel text not null,
  mark text collate "C" not null,
  category text not null check (category in ('all', 'marketing')),
  masked text not null,
  reason text not null,
  source text not null,
  created_at bigint not null,
  expires_at bigint
);

create index suppressions_by_mark on suppressions (mark);
create index suppressions_of_tenant on suppressions (tenant, id);
create index suppressions_by_end on suppressions (expires_at) where expires_at is not null;

-- What people have said back, by the provider's own id: said twice, it is told once. Its event has the row's id as subject.
create table replies (
  provider text collate "C" not null,
  ref text collate "C" not null,
  id text collate "C" not null,
  mark text collate "C" not null,
  at bigint not null,
  primary key (provider, ref)
);

create index replies_by_age on replies (at);
create unique index replies_by_id on replies (id);
create index replies_by_mark on replies (mark);
