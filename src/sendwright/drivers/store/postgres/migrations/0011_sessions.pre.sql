-- Who is signed in to the dashboard, and links to sign in by.
create table sessions (
  id text collate "C" primary key,
  kind text not null check (kind in ('session', 'link')),
  tenant text collate "C" not null,
  sealed bytea not null,
  way text not null,
  made_at bigint not null,
  seen_at bigint not null,
  until bigint not null
);
