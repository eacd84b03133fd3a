-- The type of a notification, with its version; and what the templates of a message may say of its recipient.
alter table notifications add column type text;
alter table messages add column about text;

-- Kinds of notifications, every version of them. A type that was deleted has no bodies, and keeps the number of its last version.
create table types (
  tenant text collate "C" not null,
  name text collate "C" not null,
  version integer not null,
  at bigint not null,
  body text,
  primary key (tenant, name, version)
);
