-- Who works: each incarnation says now and then that it lives.
create table workers (
  process text collate "C" primary key,
  beaten_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Parcels that are too large for the bus: it carries their keys.
create table checkroom (
  key text collate "C" primary key,
  body bytea not null,
  at bigint not null
);
