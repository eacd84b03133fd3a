-- What lies in people's inboxes. `id` is the message's.
create table inbox (
  id text collate "C" primary key,
  tenant text not null,
  recipient text not null,
  at bigint not null,
  provider text not null,
  attempt text not null,
  said text not null,
  delivered_at bigint,
  read_at bigint,
  archived_at bigint,
  snoozed_until bigint,
  changed_at bigint not null
);

create index inbox_of on inbox (tenant, recipient, at, id);
create index inbox_by_age on inbox (at);
