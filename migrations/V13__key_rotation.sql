-- Signing keys are replaced, by schedule or by an operator, and what a restored backup brings back to
-- life is ended.

alter table ah5.t_signing_keys
    -- Gone from the moment on that another key signs in its place.
    alter column sealed_private drop not null,
    -- Why there is this key. The rows are kept: they are the record of every rotation.
    add column reason text not null default 'first start'
        check (reason in ('first start', 'schedule', 'operator', 'compromised', 'restore')),
    -- It verifies as soon as it is stored, and signs from here on.
    add column signs_from timestamptz,
    add column replaced_at timestamptz,
    -- The longest life of a token of its, and until when the last of them may live.
    add column token_seconds integer not null default 7200 check (token_seconds > 0),
    add column verifies_until timestamptz,
    -- Given up because somebody else may have it.
    add column compromised boolean not null default false;
update ah5.t_signing_keys set signs_from = created_at;
update ah5.t_signing_keys set replaced_at = retired_at, sealed_private = null, mac = ''
    where retired_at is not null;
alter table ah5.t_signing_keys
    alter column reason drop default,
    alter column token_seconds drop default,
    alter column signs_from set not null,
    add check ((replaced_at is null) = (sealed_private is not null)),
    -- A retired key loses what vouched for it: undoing its end takes more than one column.
    add check (retired_at is null or (replaced_at is not null and mac = ''));

-- One row. Another generation means that the database is no longer the one that it was, though
-- numbers in it may be the same.
create table ah5.t_installation (
    is_the_only_one boolean primary key default true check (is_the_only_one),
    generation uuid not null default gen_random_uuid(),
    restored_at timestamptz
);
insert into ah5.t_installation default values;

-- Every workspace, some at a time, in the order of their ids.
create function ah5.workspace_ids(after uuid, most integer) returns setof uuid
language sql stable security definer set search_path = pg_catalog as $$
    select id from ah5.t_workspaces where id > after order by id limit most
$$;
