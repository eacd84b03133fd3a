-- What is known of the lives of the providers' credentials, and of how many days before the end the operator has been told.
create table credentials (
  provider text collate "C" primary key,
  version bigint not null,
  ends_at bigint,
  ask_at bigint not null,
  told integer
);
