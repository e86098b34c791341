-- Single calls that a person is asked about. The data plane asks and redeems by the functions below
-- and has no other way in; people decide through the control plane.

create table ah5.t_approval_requests (
    id uuid primary key,
    workspace_id uuid not null references ah5.t_workspaces on delete cascade,
    agent_id uuid not null,
    connection_id uuid not null,
    -- Who called: the agent, or somebody who acts as it.
    actor text not null,
    -- What asked, for the record. At redemption the policy of the day decides again.
    policy_id uuid,
    policy_version bigint,
    policy_hash bytea check (length(policy_hash) = 32),
    rule text not null,
    rule_label text,
    reason text not null,
    -- The request without its query: what may be kept when it is over.
    method text not null,
    url text not null,
    -- Of everything that will be sent but the credential.
    digest bytea not null check (length(digest) = 32),
    -- What the approval grants beyond the call itself. One grant never stands for another.
    pii_bypass boolean not null,
    full_fields boolean not null,
    -- The request for the person to look at, under the workspace's data key. Gone once it is over.
    sealed bytea check (get_byte(sealed, 0) = 2),
    status text not null default 'pending' check (status in
        ('pending', 'approved', 'denied', 'expired', 'executing', 'consumed', 'outcome_unknown')),
    -- When people were told that it waits.
    announced_at timestamptz,
    decided_by uuid,
    decided_at timestamptz,
    -- One redemption, by the replica of this boot.
    claim_id uuid unique,
    boot_id uuid,
    claimed_at timestamptz,
    finished_at timestamptz,
    expires_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    unique (workspace_id, id),
    foreign key (workspace_id, agent_id) references ah5.t_agents (workspace_id, id) on delete cascade,
    foreign key (workspace_id, connection_id)
        references ah5.t_connections (workspace_id, id) on delete cascade,
    check ((claim_id is not null) = (status in ('executing', 'consumed', 'outcome_unknown'))),
    check (sealed is null or status in ('pending', 'approved', 'executing'))
);
create index on ah5.t_approval_requests (workspace_id, created_at desc, id);
create index on ah5.t_approval_requests (agent_id, expires_at) where status = 'pending';
create index on ah5.t_approval_requests (expires_at) where sealed is not null;
create index on ah5.t_approval_requests (created_at)
    where status = 'pending' and announced_at is null;

alter table ah5.t_approval_requests enable row level security;
alter table ah5.t_approval_requests force row level security;
create policy tenant on ah5.t_approval_requests to ah5_control
    using (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid)
    with check (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid);
create policy owner on ah5.t_approval_requests to current_user using (true) with check (true);

-- Whoever writes, no status but the next one can follow.
create function ah5.check_approval_step() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    if new.status <> old.status and (old.status || '>' || new.status) <> all (array[
        'pending>approved', 'pending>denied', 'pending>expired', 'approved>denied',
        'approved>executing', 'executing>approved', 'executing>consumed', 'executing>outcome_unknown'
    ]) then
        raise exception 'an approval that is % cannot become %', old.status, new.status;
    end if;
    return new;
end $$;
create trigger step before update on ah5.t_approval_requests
    for each row execute function ah5.check_approval_step();

-- Asks. A request that is pending already is not asked twice. No row where the agent has too many
-- pending.
create function ah5.create_approval(
    workspace uuid, approval uuid, agent uuid, connection uuid, actor text,
    policy uuid, policy_version bigint, policy_hash bytea, rule text, rule_label text, reason text,
    method text, url text, digest bytea, pii_bypass boolean, full_fields boolean, sealed bytea,
    seconds integer, most_pending integer)
returns table (id uuid, expires_at timestamptz, fresh boolean)
language plpgsql security definer set search_path = pg_catalog as $$
#variable_conflict use_column
begin
    perform pg_advisory_xact_lock(hashtextextended('ah5.approvals ' || create_approval.agent, 0));
    return query
        select a.id, a.expires_at, false from ah5.t_approval_requests a
        where a.workspace_id = workspace and a.agent_id = agent and a.connection_id = connection
          and a.digest = create_approval.digest and a.status = 'pending'
          and a.expires_at > clock_timestamp()
        limit 1;
    if found then
        return;
    end if;
    if most_pending <= (select count(*) from ah5.t_approval_requests a where a.agent_id = agent
                        and a.status = 'pending' and a.expires_at > clock_timestamp()) then
        return;
    end if;
    return query
        insert into ah5.t_approval_requests as a (
            id, workspace_id, agent_id, connection_id, actor, policy_id, policy_version, policy_hash,
            rule, rule_label, reason, method, url, digest, pii_bypass, full_fields, sealed, expires_at)
        values (approval, workspace, agent, connection, create_approval.actor, policy,
            create_approval.policy_version, create_approval.policy_hash, create_approval.rule,
            create_approval.rule_label, create_approval.reason, create_approval.method,
            create_approval.url, create_approval.digest, create_approval.pii_bypass,
            create_approval.full_fields, create_approval.sealed,
            clock_timestamp() + make_interval(secs => seconds))
        returning a.id, a.expires_at, true;
end $$;

-- What a redemption is held against.
create function ah5.find_approval(workspace uuid, approval uuid, agent uuid)
returns table (connection_id uuid, method text, url text, digest bytea, pii_bypass boolean,
               full_fields boolean, status text, overdue boolean)
language sql stable security definer set search_path = pg_catalog as $$
    select connection_id, method, url, digest, pii_bypass, full_fields, status,
           expires_at <= clock_timestamp()
    from ah5.t_approval_requests
    where workspace_id = workspace and id = approval and agent_id = agent
$$;

-- Takes an approval for one sending. Of any number at once one gets it.
create function ah5.claim_approval(
    workspace uuid, approval uuid, request_digest bytea, claim uuid, boot uuid)
returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
    update ah5.t_approval_requests
    set status = 'executing', claim_id = claim, boot_id = boot, claimed_at = clock_timestamp()
    where workspace_id = workspace and id = approval and digest = request_digest
      and status = 'approved' and expires_at > clock_timestamp();
    return found;
end $$;

-- Whether the claim was made and is not over: for whoever did not hear.
create function ah5.holds_claim(claim uuid) returns boolean
language sql stable security definer set search_path = pg_catalog as $$
    select exists (select from ah5.t_approval_requests
                   where claim_id = claim and status = 'executing')
$$;

-- Gives a claim back. Only for a request of which no byte has left.
create function ah5.release_approval(claim uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
    update ah5.t_approval_requests
    set status = 'approved', claim_id = null, boot_id = null, claimed_at = null
    where claim_id = claim and status = 'executing';
    return found;
end $$;

-- Ends a claim: the provider has answered, or nobody knows what became of the request.
create function ah5.finish_approval(claim uuid, outcome text) returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
    if outcome not in ('consumed', 'outcome_unknown') then
        raise exception 'no outcome of an approval: %', outcome;
    end if;
    update ah5.t_approval_requests
    set status = outcome, finished_at = clock_timestamp(), sealed = null
    where claim_id = claim and status = 'executing';
    return found;
end $$;

-- What its time has run out for, in whatever workspace. A claim is given longer than any call lasts.
create function ah5.overdue_approvals(most integer) returns table (workspace_id uuid, id uuid)
language sql stable security definer set search_path = pg_catalog as $$
    select workspace_id, id from ah5.t_approval_requests
    where sealed is not null
      and case status when 'executing' then claimed_at < clock_timestamp() - interval '5 minutes'
          else expires_at <= clock_timestamp() end
    order by expires_at limit most
$$;

-- What people have not been told of, in whatever workspace.
create function ah5.unannounced_approvals(most integer) returns table (workspace_id uuid, id uuid)
language sql stable security definer set search_path = pg_catalog as $$
    select workspace_id, id from ah5.t_approval_requests
    where status = 'pending' and announced_at is null and expires_at > clock_timestamp()
    order by created_at limit most
$$;

create function ah5.prune_approvals() returns void
language sql security definer set search_path = pg_catalog as $$
    delete from ah5.t_approval_requests
    where sealed is null and created_at < now() - interval '90 days'
$$;

-- Takes back what is pending or approved and not redeemed in the workspaces that this user owns.
create function ah5.void_approvals_of_owner(owner uuid) returns void
language sql security definer set search_path = pg_catalog as $$
    update ah5.t_approval_requests set status = 'denied', sealed = null, decided_at = now()
    where workspace_id in (select id from ah5.t_workspaces where owner_id = owner)
      and status in ('pending', 'approved')
$$;
