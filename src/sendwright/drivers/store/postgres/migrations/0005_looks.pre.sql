-- When a provider is asked what became of a message that it took and never reported of.
alter table attempts add column look_at bigint;
create index attempts_unheard on attempts (look_at) where state = 2 and look_at is not null;
