-- The routes whose order was set at run time. `providers` is a JSON array.
create table routes (
  channel text collate "C" primary key,
  providers text not null
);

-- What the attempts of messages that shared one call have in common.
alter table attempts add column call_id text;
