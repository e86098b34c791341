-- Tenants are kept apart by the database as well: the control plane's role sees the rows of one
-- workspace, the one that its transaction names. What must be known before a workspace is known
-- comes from the closed list of look-ups at the end.

do $$
declare
    t text;
    key text;
begin
    foreach t in array array['t_workspaces', 't_workspace_members', 't_workspace_keys', 't_agents',
                             't_agent_bootstrap_secrets', 't_agent_usage', 't_connections',
                             't_connection_credentials', 't_policies', 't_audit_heads'] loop
        key := case t when 't_workspaces' then 'id' else 'workspace_id' end;
        execute format('alter table ah5.%I enable row level security', t);
        execute format('alter table ah5.%I force row level security', t);
        execute format(
            'create policy tenant on ah5.%I to ah5_control
                using (%I = nullif(current_setting(''ah5.workspace'', true), '''')::uuid)
                with check (%I = nullif(current_setting(''ah5.workspace'', true), '''')::uuid)',
            t, key, key);
        -- Forced row security binds the owner too, and the functions below run as the owner.
        execute format('create policy owner on ah5.%I to current_user using (true) with check (true)', t);
        execute format('create policy data_plane_reads on ah5.%I for select to ah5_data using (true)', t);
    end loop;
end $$;

-- Data planes append by COPY, which row security forbids, so the log itself has none: the control
-- plane may append to it but reads it through this view only.
create view ah5.v_audit_events with (security_barrier) as
    select * from ah5.l_audit_events
    where workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid;

create function ah5.member_workspaces(member uuid)
returns table (workspace_id uuid, role text, owned boolean)
language sql stable security definer set search_path = pg_catalog as $$
    select m.workspace_id, m.role, w.owner_id = member
    from ah5.t_workspace_members m join ah5.t_workspaces w on w.id = m.workspace_id
    where m.user_id = member
    order by (w.owner_id = member) desc, m.created_at
$$;

create function ah5.bootstrap_secret_workspace(hash bytea) returns uuid
language sql stable security definer set search_path = pg_catalog as $$
    select workspace_id from ah5.t_agent_bootstrap_secrets where secret_hash = hash
$$;

create function ah5.agent_workspace(agent uuid) returns uuid
language sql stable security definer set search_path = pg_catalog as $$
    select workspace_id from ah5.t_agents where id = agent
$$;
