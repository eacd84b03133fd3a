-- Tenants take turns at what is parked. What was parked before, or is by a process of the version before, stands under one empty name.
alter table waits add column tenant text collate "C" not null default '';
create index waits_parked_by_tenant on waits (key, priority, tenant, serial) where key <> 'time';
