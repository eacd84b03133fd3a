-- The recount's statements: they read whole tables. `$1` is the least message id of a day whose attempts and events are kept, unless a
-- line says otherwise. Each shows as many rows as are named at most.

-- name: floor
-- The oldest partition of the attempts.
select min(c.relname) from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
where p.relname = 'attempts' and p.relnamespace = current_schema()::regnamespace and not i.inhdetachpending;

-- name: numbered
-- Numbers that were given and are planned or forgotten.
select (select count(*) from notifications where process <> '') + (select count(*) from repeats)
  + (select coalesce(sum(forgotten), 0)::bigint from processes);

-- name: gaps
-- $1, $2: numbers that wait for their plan. $3: who has reported since then, or null for whoever has: what was counted later may be on its way.
select p.process, g.number from processes p
cross join lateral generate_series(p.forgotten + 1,
  case when $3::bigint is null or $3 >= p.reported_at then p.accepted when $3 >= p.marked_at then p.marked else p.overdue end) g (number)
where not exists (select from notifications n where n.process = p.process and n.number = g.number)
  and not exists (select from repeats r where r.process = p.process and r.number = g.number)
  and not exists (select from unnest($1::text[], $2::bigint[]) w (process, number) where w.process = p.process and w.number = g.number)
order by 1, 2 limit 1000;

-- name: lost_keys
-- $1: ids that wait for their plan. $2: bound before, or null for whenever. One that is pending may never have been published.
select k.id from keys k
where k.published and k.at >= (select coalesce(min(at), 0) from notifications) and ($2::bigint is null or k.at < $2)
  and not exists (select from notifications n where n.id = k.id and n.planned) and not (k.id = any($1::text[]))
order by k.id limit 1000;

-- name: lost_messages
-- Of notifications that have another number of messages than they were planned into.
select n.id, n.messages, c.found from notifications n
cross join lateral (
  select count(*) as found from messages m where m.id > 'msg_' || substr(n.id, 5) and m.id < 'msg_' || substr(n.id, 5) || '~') c
where n.planned and n.messages <> c.found and $1::text is not null limit 1000;

-- name: lost_notifications
select distinct 'ntf_' || substr(m.id, 5, 32) from messages m
where not exists (select from notifications n where n.id = 'ntf_' || substr(m.id, 5, 32)) and $1::text is not null limit 1000;

-- name: lost_attempts
select m.id, m.number, c.found from messages m
cross join lateral (
  select count(*) as found from attempts a where a.id > 'att_' || substr(m.id, 5) and a.id < 'att_' || substr(m.id, 5) || '~') c
where m.id >= $1 and m.number > 0 and m.number <> c.found limit 1000;

-- name: orphaned_attempts
select 'msg_' || substr(a.id, 5, 34), a.id from attempts a
where not exists (select from messages m where m.id = 'msg_' || substr(a.id, 5, 34)) and $1::text is not null limit 1000;

-- name: unproven_states
-- Sent, delivered or read, and no attempt says so.
select m.id, m.state from messages m
where m.id >= $1 and m.state in (40, 60, 70) and not exists (
  select from attempts a where a.id > 'att_' || substr(m.id, 5) and a.id < 'att_' || substr(m.id, 5) || '~'
    and a.state >= case when m.state = 40 then 2 else 5 end) limit 1000;

-- name: untold_acceptances
select n.id from notifications n
where n.planned and n.id >= 'ntf_' || substr($1::text, 5)
  and not exists (select from events e where e.subject = n.id and e.type = 'notification.accepted') limit 1000;

-- name: untold_ends
-- $2 a state, $3 its event.
select m.id from messages m
where m.id >= $1 and m.state = $2 and not exists (select from events e where e.subject = m.id and e.type = $3) limit 1000;

-- name: ownerless
-- Sending, and no attempt is open.
select m.id from messages m
where m.id >= $1 and m.state = 21 and m.token is not null and not exists (
  select from attempts a where a.id > 'att_' || substr(m.id, 5) and a.id < 'att_' || substr(m.id, 5) || '~' and a.state = 0) limit 1000;

-- name: stranded
-- $1: messages on their way. $2: notifications whose intake is not done. $3: not moved since, or null for whenever.
select m.id, m.state from messages m
where (m.state in (10, 11, 20) or (m.state = 21 and m.token is null)) and ($3::bigint is null or m.updated_at < $3)
  and not exists (select from waits w where w.message = m.id)
  and not exists (select from unnest($1::text[]) c (id) where c.id = m.id)
  and not exists (select from unnest($2::text[]) c (id) where c.id = 'ntf_' || substr(m.id, 5, 32))
order by m.id limit 1000;
