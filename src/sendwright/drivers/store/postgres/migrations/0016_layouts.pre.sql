-- What stands around mails, every version of it. A layout that was deleted has no bodies, and keeps the number of its last version.
create table layouts (
  tenant text collate "C" not null,
  name text collate "C" not null,
  version integer not null,
  at bigint not null,
  body text,
  primary key (tenant, name, version)
);
