-- What may have ended whoever took it, and how often somebody has set about it since.
create table trials (
  id text collate "C" primary key,
  count integer not null,
  by text not null,
  at bigint not null
);

-- Parcels that were kept because their version was not known yet.
alter table dead_parcels add column version integer;
create index dead_parcels_by_version on dead_parcels (version, at) where version is not null;

-- The newest version of parcels that each process reads.
alter table workers add column reads integer not null default 1;
