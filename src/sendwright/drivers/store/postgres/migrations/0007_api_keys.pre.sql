-- API keys. Of a key itself there is its digest alone, made under a key that is not in the store.
create table api_keys (
  id text collate "C" primary key,
  tenant text not null,
  name text not null,
  scopes text[] not null,
  digest bytea not null,
  created_at bigint not null,
  expires_at bigint,
  rate text,
  used_at bigint
);

create index api_keys_by_age on api_keys (created_at, id);
