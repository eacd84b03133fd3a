-- What a person's doing says of an attempt and was not reported yet.
alter table inbox add column owed smallint;

create index inbox_owing on inbox (changed_at) where owed is not null;
