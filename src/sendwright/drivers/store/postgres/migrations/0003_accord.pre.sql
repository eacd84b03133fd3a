-- What workers share of a provider. Times are seconds since 1970 on this server's clock.

-- From when on nobody holds the cells of its rate; until when the next one is kept for somebody urgent.
create table rates (
  provider text collate "C" primary key,
  tat double precision not null default 0,
  kept_until double precision not null default 0
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

create table breakers (
  provider text collate "C" primary key,
  version bigint not null,
  shut boolean not null,
  why text not null,
  misconfigured boolean not null,
  interval_s double precision not null,
  probe_at double precision not null,
  probe_until double precision not null
) with (fillfactor = 50);

-- How each process finds it.
create table standings (
  process text collate "C" not null,
  provider text collate "C" not null,
  in_flight integer not null,
  waiting integer not null,
  calls integer not null,
  good integer not null,
  latency_ms double precision not null,
  primary key (process, provider)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
