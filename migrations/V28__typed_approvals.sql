-- What an approval is good for: one call; one call of a conversation with a language model, which may have
-- gone on since; or a policy's limit, which counts twice while it lasts. None stands for another.

alter table ah5.t_approval_requests
    add column kind text not null default 'call' check (kind in ('call', 'conversation', 'limit')),
    -- Of a conversation: how many of its items come first and unchanged, and the digest of these and of
    -- everything else that is held fast.
    add column items integer check (items >= 0),
    add column conversation bytea check (length(conversation) = 32),
    -- Of a limit: which one of the policy, how much it is, and how much of it was used, where that is known.
    add column limited text check (limited in
        ('requests_hour', 'tokens_hour', 'tokens_day', 'cost_day', 'cost_month')),
    add column limit_most bigint,
    add column limit_used bigint,
    add check ((kind = 'conversation') = (items is not null)),
    add check ((kind = 'conversation') = (conversation is not null)),
    add check ((kind = 'limit') = (limited is not null));
create index on ah5.t_approval_requests (policy_id, limited, expires_at) where kind = 'limit';

-- As before, for what is more than one call. A conversation that is pending is not asked about twice either.
create function ah5.create_approval(
    workspace uuid, approval uuid, agent uuid, connection uuid, actor text,
    policy uuid, policy_version bigint, policy_hash bytea, rule text, rule_label text, reason text,
    method text, url text, digest bytea, pii_bypass boolean, full_fields boolean, sealed bytea,
    seconds integer, most_pending integer,
    kind text, items integer, conversation bytea, limited text, limit_most bigint, limit_used bigint)
returns table (id uuid, expires_at timestamptz, fresh boolean)
language plpgsql security definer set search_path = pg_catalog as $$
#variable_conflict use_column
begin
    perform pg_advisory_xact_lock(hashtextextended('ah5.approvals ' || create_approval.agent, 0));
    return query
        select a.id, a.expires_at, false from ah5.t_approval_requests a
        where a.workspace_id = workspace and a.agent_id = agent and a.connection_id = connection
          and a.kind = create_approval.kind
          and (a.digest = create_approval.digest or a.conversation = create_approval.conversation)
          and a.status = 'pending' and a.expires_at > clock_timestamp()
        limit 1;
    if found then
        return;
    end if;
    -- There are few limits, and questions about them keep no others away.
    if create_approval.kind <> 'limit' and most_pending <= (
        select count(*) from ah5.t_approval_requests a where a.agent_id = agent and a.kind <> 'limit'
        and a.status = 'pending' and a.expires_at > clock_timestamp()) then
        return;
    end if;
    return query
        insert into ah5.t_approval_requests as a (
            id, workspace_id, agent_id, connection_id, actor, policy_id, policy_version, policy_hash,
            rule, rule_label, reason, method, url, digest, pii_bypass, full_fields, sealed, expires_at,
            kind, items, conversation, limited, limit_most, limit_used)
        values (approval, workspace, agent, connection, create_approval.actor, policy,
            create_approval.policy_version, create_approval.policy_hash, create_approval.rule,
            create_approval.rule_label, create_approval.reason, create_approval.method,
            create_approval.url, create_approval.digest, create_approval.pii_bypass,
            create_approval.full_fields, create_approval.sealed,
            clock_timestamp() + make_interval(secs => least(seconds, 3600)),
            create_approval.kind, create_approval.items, create_approval.conversation,
            create_approval.limited, create_approval.limit_most, create_approval.limit_used)
        returning a.id, a.expires_at, true;
end $$;

-- Replicas of the release before ask for calls only.
create or replace function ah5.create_approval(
    workspace uuid, approval uuid, agent uuid, connection uuid, actor text,
    policy uuid, policy_version bigint, policy_hash bytea, rule text, rule_label text, reason text,
    method text, url text, digest bytea, pii_bypass boolean, full_fields boolean, sealed bytea,
    seconds integer, most_pending integer)
returns table (id uuid, expires_at timestamptz, fresh boolean)
language sql security definer set search_path = pg_catalog as $$
    select id, expires_at, fresh from ah5.create_approval(
        workspace, approval, agent, connection, actor, policy, policy_version, policy_hash, rule,
        rule_label, reason, method, url, digest, pii_bypass, full_fields, sealed, seconds, most_pending,
        'call', null, null, null, null, null)
$$;

-- What a redemption is held against. The release before knows nothing of kinds: it redeems by the digest
-- of the whole request, which is that of the one request that was shown.
drop function ah5.find_approval(uuid, uuid, uuid);
create function ah5.find_approval(workspace uuid, approval uuid, agent uuid)
returns table (connection_id uuid, method text, url text, digest bytea, pii_bypass boolean,
               full_fields boolean, status text, overdue boolean, kind text, items integer,
               conversation bytea)
language sql stable security definer set search_path = pg_catalog as $$
    select connection_id, method, url, digest, pii_bypass, full_fields, status,
           expires_at <= clock_timestamp(), kind, items, conversation
    from ah5.t_approval_requests
    where workspace_id = workspace and id = approval and agent_id = agent
$$;

-- As before; what lifts a limit is no approval of a call.
create or replace function ah5.claim_approval(
    workspace uuid, approval uuid, request_digest bytea, claim uuid, boot uuid)
returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
    update ah5.t_approval_requests
    set status = 'executing', claim_id = claim, boot_id = boot, claimed_at = clock_timestamp()
    where workspace_id = workspace and id = approval and digest = request_digest
      and status = 'approved' and expires_at > clock_timestamp() and kind <> 'limit';
    return found;
end $$;

-- The word on a policy's limit that holds now: an approval lifts it, and a denial is not asked again. It is
-- good for the limit as it was shown; another one needs a word of its own.
create function ah5.find_limit_approval(workspace uuid, policy uuid, one_limit text, most bigint)
returns table (id uuid, status text, expires_at timestamptz)
language sql stable security definer set search_path = pg_catalog as $$
    select id, status, expires_at from ah5.t_approval_requests
    where workspace_id = workspace and policy_id = policy and kind = 'limit' and limited = one_limit
      and limit_most = most and status in ('approved', 'denied', 'pending')
      and expires_at > clock_timestamp()
    order by status, created_at desc limit 1
$$;
