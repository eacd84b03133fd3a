-- Who works: each incarnation says now and then that it lives.
create table workers (
  process text collate "C" primary key,
  beaten_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
