-- Tokens and credentials that are handed out instead of used here: off until an owner turns it on, and
-- every one that was handed out is written down before it leaves.

alter table ah5.t_workspaces
    -- Agents may get access tokens where a policy says so.
    add column vends_tokens boolean not null default false,
    -- Admins may get credentials.
    add column resolves_credentials boolean not null default false;

alter table ah5.t_policies
    -- Its author knows that a token which is handed out is bound by nothing else that it says.
    add column acknowledged_unfiltered boolean not null default false;

create function ah5.on_workspace_updated() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform ah5.raise_version(array(select id from new_rows));
    return null;
end $$;
create trigger updated after update on ah5.t_workspaces
    referencing old table as old_rows new table as new_rows
    for each statement execute function ah5.on_workspace_updated();

create table ah5.t_vended_tokens (
    id uuid primary key,
    workspace_id uuid not null references ah5.t_workspaces on delete cascade,
    connection_id uuid not null,
    -- Whom it was handed to: an agent, or somebody.
    agent_id uuid,
    user_id uuid,
    vended_at timestamptz not null default now(),
    -- Null: it is good until it is changed at its provider.
    expires_at timestamptz,
    check ((agent_id is null) <> (user_id is null)),
    foreign key (workspace_id, connection_id)
        references ah5.t_connections (workspace_id, id) on delete cascade
);
create index on ah5.t_vended_tokens (workspace_id, agent_id);
create index on ah5.t_vended_tokens (connection_id);
create index on ah5.t_vended_tokens (expires_at);

alter table ah5.t_vended_tokens enable row level security;
alter table ah5.t_vended_tokens force row level security;
create policy tenant on ah5.t_vended_tokens for select to ah5_control
    using (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid);
create policy owner on ah5.t_vended_tokens to current_user using (true) with check (true);

-- Writes down that a token leaves. One of a connection that has been revoked meanwhile does not.
create function ah5.note_vended(
    vended uuid, workspace uuid, connection uuid, agent uuid, person uuid, expires timestamptz)
returns boolean
language plpgsql security definer set search_path = pg_catalog set lock_timeout = '500ms' as $$
begin
    perform from ah5.t_connections c
    where c.id = connection and c.workspace_id = workspace and c.status = 'healthy' for share;
    if not found then
        return false;
    end if;
    insert into ah5.t_vended_tokens (id, workspace_id, connection_id, agent_id, user_id, expires_at)
    values (vended, workspace, connection, agent, person, expires);
    return true;
end $$;

-- Those that are good no more, and, after a quarter of a year, those of connections that are revoked.
create function ah5.prune_vended() returns void
language sql security definer set search_path = pg_catalog as $$
    delete from ah5.t_vended_tokens v
    where v.expires_at < now() - interval '1 day'
       or (v.vended_at < now() - interval '90 days' and exists (
            select from ah5.t_connections c where c.id = v.connection_id and c.status = 'revoked'));
$$;
