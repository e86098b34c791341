-- Who answers for an agent, what its being disabled ends, and what agents ask to be allowed.

-- The person is looked up, not referred to: an agent outlives its owner's membership.
alter table ah5.t_agents add column owner_id uuid;
update ah5.t_agents a set owner_id = w.owner_id
    from ah5.t_workspaces w where w.id = a.workspace_id;

-- The tokens that an agent was given and that have not expired, to be counted. Whether a token is
-- good is never read from here.
create table ah5.l_agent_tokens (
    token_id uuid primary key,
    workspace_id uuid not null,
    agent_id uuid not null,
    epoch bigint not null,
    expires_at timestamptz not null,
    foreign key (workspace_id, agent_id) references ah5.t_agents (workspace_id, id) on delete cascade
);
create index on ah5.l_agent_tokens (agent_id, epoch);
create index on ah5.l_agent_tokens (expires_at);

-- How many answers each data plane has under way for an agent, as of its last report. Worth nothing
-- after a crash, so not logged.
create unlogged table ah5.t_open_streams (
    replica_id uuid not null,
    agent_id uuid not null,
    workspace_id uuid not null,
    open integer not null check (open > 0),
    reported_at timestamptz not null default now(),
    primary key (replica_id, agent_id)
);
create index on ah5.t_open_streams (agent_id);

create table ah5.t_permission_requests (
    id uuid primary key,
    workspace_id uuid not null,
    agent_id uuid not null,
    action_template_id text not null,
    -- How strictly the agent itself proposes to be held.
    policy_tier text check (policy_tier in ('minimal', 'standard', 'strict')),
    reason text not null check (length(reason) between 1 and 500),
    status text not null default 'pending'
        check (status in ('pending', 'approved', 'denied', 'expired')),
    connection_id uuid,
    resolved_at timestamptz,
    resolved_by uuid,
    created_at timestamptz not null default now(),
    check ((status = 'pending') = (resolved_at is null)),
    foreign key (workspace_id, agent_id) references ah5.t_agents (workspace_id, id) on delete cascade,
    foreign key (workspace_id, connection_id) references ah5.t_connections (workspace_id, id)
        on delete set null (connection_id)
);
create index on ah5.t_permission_requests (workspace_id, created_at);
create unique index t_permission_requests_pending on ah5.t_permission_requests
    (agent_id, action_template_id) where status = 'pending';

do $$
declare
    t text;
begin
    foreach t in array array['l_agent_tokens', 't_open_streams', 't_permission_requests'] loop
        execute format('alter table ah5.%I enable row level security', t);
        execute format('alter table ah5.%I force row level security', t);
        execute format(
            'create policy tenant on ah5.%I to ah5_control
                using (workspace_id = nullif(current_setting(''ah5.workspace'', true), '''')::uuid)
                with check (workspace_id = nullif(current_setting(''ah5.workspace'', true), '''')::uuid)',
            t);
        execute format('create policy owner on ah5.%I to current_user using (true) with check (true)', t);
    end loop;
end $$;

-- A data plane's whole report: what it doesn't name, it has none of.
create function ah5.report_open_streams(replica uuid, agents uuid[], counts integer[]) returns void
language sql security definer set search_path = pg_catalog as $$
    delete from ah5.t_open_streams where replica_id = replica and agent_id <> all (agents);
    insert into ah5.t_open_streams as s (replica_id, agent_id, workspace_id, open)
    select replica, a.id, a.workspace_id, given.open
    from unnest(agents, counts) given (agent, open) join ah5.t_agents a on a.id = given.agent
    where given.open > 0
    order by a.id
    on conflict (replica_id, agent_id)
        do update set open = excluded.open, reported_at = excluded.reported_at;
$$;

-- Drops expired tokens, and reports of data planes that are no more.
create function ah5.prune_agent_notes() returns void
language sql security definer set search_path = pg_catalog as $$
    delete from ah5.l_agent_tokens where expires_at < now();
    delete from ah5.t_open_streams where reported_at < now() - interval '1 minute';
$$;
