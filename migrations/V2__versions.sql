-- How the data planes learn of changes. The version row is the truth, NOTIFY only a hint. A row is
-- stamped with the transaction that wrote it, so that a reader who keeps the xmin of its last
-- snapshot misses no commit, in whatever order transactions end.

create table ah5.t_workspace_versions (
    -- The nil id stands for what belongs to no workspace: users, sessions, signing keys.
    workspace_id uuid primary key,
    version bigint not null default 1,
    changed_xid xid8 not null default pg_current_xact_id()
);
create index on ah5.t_workspace_versions (changed_xid);

create function ah5.raise_version(workspaces uuid[]) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare
    w uuid;
begin
    -- In id order, so that two transactions that touch the same workspaces cannot deadlock.
    for w in select distinct u from unnest(workspaces) u where u is not null order by u loop
        insert into ah5.t_workspace_versions as v (workspace_id) values (w)
            on conflict (workspace_id) do update
            set version = v.version + 1, changed_xid = pg_current_xact_id();
        perform pg_notify('ah5_changed', w::text);
    end loop;
end $$;

create function ah5.on_inserted() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform ah5.raise_version(array(select workspace_id from new_rows));
    return null;
end $$;

create function ah5.on_updated() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform ah5.raise_version(
        array(select workspace_id from old_rows) || array(select workspace_id from new_rows));
    return null;
end $$;

create function ah5.on_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform ah5.raise_version(array(select workspace_id from old_rows));
    return null;
end $$;

create function ah5.on_global_change() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform ah5.raise_version(array['00000000-0000-0000-0000-000000000000'::uuid]);
    return null;
end $$;

create function ah5.on_workspace_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform ah5.raise_version(array(select id from old_rows));
    return null;
end $$;

do $$
declare
    t text;
begin
    foreach t in array array['t_workspace_members', 't_workspace_keys', 't_agents', 't_connections',
                             't_connection_credentials', 't_policies'] loop
        execute format('create trigger inserted after insert on ah5.%I referencing new table as new_rows
            for each statement execute function ah5.on_inserted()', t);
        execute format('create trigger updated after update on ah5.%I
            referencing old table as old_rows new table as new_rows
            for each statement execute function ah5.on_updated()', t);
        execute format('create trigger deleted after delete on ah5.%I referencing old table as old_rows
            for each statement execute function ah5.on_deleted()', t);
    end loop;
end $$;

create trigger deleted after delete on ah5.t_workspaces referencing old table as old_rows
    for each statement execute function ah5.on_workspace_deleted();
create trigger changed after insert or update or delete on ah5.t_signing_keys
    for each statement execute function ah5.on_global_change();
create trigger disabled after update of disabled_at on ah5.t_users
    for each statement execute function ah5.on_global_change();
create trigger revoked after update of revoked_at on ah5.t_sessions
    for each statement execute function ah5.on_global_change();
