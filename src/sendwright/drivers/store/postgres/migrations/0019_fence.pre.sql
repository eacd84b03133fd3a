-- A database that was restored from a backup: at most one row. `holding`: what waits in it is being held in doubt, and nobody may start.
-- `at`: what was accepted up to then, and is not planned yet, is held in doubt when it is.
create table fence (
  one boolean primary key default true check (one),
  at bigint,
  holding boolean not null
);
