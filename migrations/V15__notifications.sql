-- What people are told in the product, and the counters by which it is noticed that an agent behaves
-- unlike itself.

-- One row a workspace, locked from the first notification of a transaction to its end: numbers are
-- given in the order of commits, without gaps, so a reader who remembers the last one misses nothing.
create table ah5.t_notification_heads (
    workspace_id uuid primary key references ah5.t_workspaces on delete cascade,
    seq bigint not null
);

create table ah5.t_notifications (
    id uuid primary key,
    workspace_id uuid not null references ah5.t_workspaces on delete cascade,
    seq bigint not null,
    -- Only for this person; null: for everybody in the workspace.
    user_id uuid references ah5.t_users on delete cascade,
    kind text not null,
    title text not null check (length(title) between 1 and 200),
    body text not null check (length(body) <= 1000),
    -- A page of ours, never of anybody else.
    link_url text check (link_url ~ '^/[A-Za-z0-9]' and length(link_url) <= 500),
    metadata jsonb not null,
    -- Whoever reads it has read it for all whom it is for.
    read_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    unique (workspace_id, seq)
);
create index on ah5.t_notifications (workspace_id, seq) where read_at is null;
create index on ah5.t_notifications (created_at);
create index on ah5.t_notifications (user_id) where user_id is not null;

-- When an alarm about an agent may sound again.
create table ah5.t_alarms (
    agent_id uuid not null,
    rule text not null check (rule in ('burst', 'denial_rate', 'data_volume')),
    workspace_id uuid not null,
    quiet_until timestamptz not null,
    primary key (agent_id, rule),
    foreign key (workspace_id, agent_id) references ah5.t_agents (workspace_id, id) on delete cascade
);

-- Calls by agent and minute, written by each spool in rows of its own as it delivers audit rows, so
-- that no data plane waits for another. Of no use after a quarter of an hour, so not logged.
create unlogged table ah5.t_agent_minutes (
    agent_id uuid not null,
    minute timestamptz not null,
    spool_id uuid not null,
    workspace_id uuid not null,
    connection_id uuid,
    calls bigint not null,
    completed bigint not null,
    denied bigint not null,
    bytes bigint not null,
    primary key (agent_id, minute, spool_id)
) with (fillfactor = 50);

-- What minutes become: at which hours an agent is used to work.
create table ah5.t_agent_hours (
    agent_id uuid not null,
    hour timestamptz not null,
    workspace_id uuid not null,
    calls bigint not null,
    primary key (agent_id, hour)
);

do $$
declare
    t text;
begin
    foreach t in array array['t_notification_heads', 't_notifications', 't_alarms',
                             't_agent_minutes', 't_agent_hours'] loop
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

-- The last number of each of these workspaces that has one.
create function ah5.notification_heads(workspaces uuid[])
returns table (workspace_id uuid, seq bigint)
language sql stable security definer set search_path = pg_catalog as $$
    select h.workspace_id, h.seq from ah5.t_notification_heads h
    where h.workspace_id = any (workspaces)
$$;

-- Which of these readers still have the right to read: their places in the lists, from 1. Each shows a
-- session or else a personal token.
create function ah5.live_readers(users uuid[], workspaces uuid[], sessions uuid[], tokens uuid[])
returns table (place bigint)
language sql stable security definer set search_path = pg_catalog as $$
    select r.place
    from unnest(users, workspaces, sessions, tokens) with ordinality
        r (user_id, workspace_id, session_id, token_id, place)
    join ah5.t_users u on u.id = r.user_id and u.disabled_at is null
    join ah5.t_workspace_members m on m.workspace_id = r.workspace_id and m.user_id = r.user_id
    where exists (select from ah5.t_sessions s
                  where s.id = r.session_id and s.user_id = r.user_id
                    and s.revoked_at is null and s.expires_at > now())
       or exists (select from ah5.t_personal_tokens t
                  where t.id = r.token_id and t.user_id = r.user_id
                    and t.workspace_id = r.workspace_id
                    and t.revoked_at is null and t.expires_at > now())
$$;

-- Drops what is too old, and of each workspace all but the newest.
create function ah5.prune_notifications(days integer, most bigint) returns void
language sql security definer set search_path = pg_catalog as $$
    delete from ah5.t_notifications where created_at < now() - make_interval(days => days);
    delete from ah5.t_notifications n using ah5.t_notification_heads h
    where n.workspace_id = h.workspace_id and n.seq <= h.seq - most;
$$;

-- Adds up the calls of one delivery. A clock that runs ahead cannot count into the future, and what
-- is older than the habits that are kept is of no use.
create function ah5.count_calls(
    spool uuid, workspaces uuid[], agents uuid[], connections uuid[], minutes timestamptz[],
    calls bigint[], completed bigint[], denied bigint[], bytes bigint[]) returns void
language sql security definer set search_path = pg_catalog as $$
    insert into ah5.t_agent_minutes as m (agent_id, minute, spool_id, workspace_id, connection_id,
                                          calls, completed, denied, bytes)
    select g.agent, least(date_trunc('minute', g.minute), date_trunc('minute', now())), spool,
           (array_agg(g.workspace))[1], (array_agg(g.connection))[1],
           sum(g.calls)::bigint, sum(g.completed)::bigint, sum(g.denied)::bigint, sum(g.bytes)::bigint
    from unnest(workspaces, agents, connections, minutes, calls, completed, denied, bytes)
        g (workspace, agent, connection, minute, calls, completed, denied, bytes)
    where g.minute > now() - interval '7 days'
    group by 1, 2
    order by 1, 2
    on conflict (agent_id, minute, spool_id) do update
        set calls = m.calls + excluded.calls, completed = m.completed + excluded.completed,
            denied = m.denied + excluded.denied, bytes = m.bytes + excluded.bytes,
            connection_id = coalesce(excluded.connection_id, m.connection_id)
$$;

-- The agents that did more than this in the last minutes: 5 for calls and denials, 10 for bytes. Only
-- whole minutes within that time count. `off_hours` says that the agent is hardly ever at work at this
-- hour of the day (UTC), as far as is known; `quiet` names the rules that may not sound yet.
create function ah5.busy_agents(most_completed bigint, most_denied bigint, most_bytes bigint)
returns table (workspace_id uuid, agent_id uuid, agent_name text, connection_id uuid,
               completed bigint, denied bigint, bytes bigint, off_hours boolean, quiet text[])
language sql stable security definer set search_path = pg_catalog as $$
    with busy as (
        select m.workspace_id, m.agent_id,
               coalesce(sum(m.completed) filter (where m.minute > now() - interval '5 minutes'), 0)::bigint
                   as completed,
               coalesce(sum(m.denied) filter (where m.minute > now() - interval '5 minutes'), 0)::bigint
                   as denied,
               sum(m.bytes)::bigint as bytes,
               (array_agg(m.connection_id order by m.minute desc))[1] as connection_id
        from ah5.t_agent_minutes m
        where m.minute > now() - interval '10 minutes'
        group by m.workspace_id, m.agent_id
    )
    select b.workspace_id, b.agent_id, a.name, b.connection_id, b.completed, b.denied, b.bytes,
           coalesce(habit.calls >= 50 and habit.at_this_hour < 0.05 * habit.calls, false),
           array(select l.rule from ah5.t_alarms l
                 where l.agent_id = b.agent_id and l.quiet_until > now())
    from busy b
    join ah5.t_agents a on a.id = b.agent_id and a.workspace_id = b.workspace_id
    cross join lateral (
        select sum(h.calls) as calls,
               coalesce(sum(h.calls) filter (where extract(hour from h.hour at time zone 'UTC')
                   = extract(hour from now() at time zone 'UTC')), 0) as at_this_hour
        from ah5.t_agent_hours h
        where h.agent_id = b.agent_id and h.hour > now() - interval '7 days') habit
    where b.completed > most_completed or b.denied > most_denied or b.bytes > most_bytes
    limit 1000
$$;

-- Turns minutes that are over into hours, and forgets hours of more than a week ago.
create function ah5.roll_up_calls() returns void
language sql security definer set search_path = pg_catalog as $$
    with over as (
        delete from ah5.t_agent_minutes where minute < now() - interval '15 minutes'
        returning agent_id, minute, workspace_id, calls
    )
    insert into ah5.t_agent_hours as h (agent_id, hour, workspace_id, calls)
    select o.agent_id, date_trunc('hour', o.minute, 'UTC'), (array_agg(o.workspace_id))[1],
           sum(o.calls)::bigint
    from over o
    group by 1, 2
    order by 1, 2
    on conflict (agent_id, hour) do update set calls = h.calls + excluded.calls;
    delete from ah5.t_agent_hours where hour < now() - interval '8 days';
$$;
