-- What the data plane may see and do beyond plain reads.

-- Sessions that ended early. User tokens live five minutes, so an hour is ample.
create view ah5.v_revoked_sessions as
    select id, revoked_at from ah5.t_sessions
    where revoked_at > now() - interval '1 hour';

create view ah5.v_verification_keys as
    select kid, kind, alg, public_jwk, mac from ah5.t_signing_keys where retired_at is null;

create view ah5.v_disabled_users as
    select id from ah5.t_users where disabled_at is not null;

-- Locks the spool's cursor for this transaction and returns it; makes the row at first use.
create function ah5.spool_lock(spool uuid) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare
    acked bigint;
begin
    insert into ah5.t_audit_spools (spool_id) values (spool) on conflict do nothing;
    select acked_seq into acked from ah5.t_audit_spools where spool_id = spool for update;
    return acked;
end $$;

-- Moves the cursor. It never goes back.
create function ah5.spool_advance(spool uuid, seq bigint) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
    update ah5.t_audit_spools set acked_seq = seq, updated_at = now()
        where spool_id = spool and acked_seq <= seq;
    if not found then
        raise exception 'spool % is unknown or already past %', spool, seq;
    end if;
end $$;

-- Notes that an agent's token was used. At most one write a minute an agent; unknown ids are dropped.
create function ah5.touch_last_used(agents uuid[]) returns void
language sql security definer set search_path = pg_catalog as $$
    insert into ah5.t_agent_usage as u (agent_id, workspace_id, token_last_used_at)
    select a.id, a.workspace_id, now() from ah5.t_agents a where a.id = any (agents)
    order by a.id
    on conflict (agent_id) do update set token_last_used_at = excluded.token_last_used_at
        where u.token_last_used_at < excluded.token_last_used_at - interval '1 minute';
$$;
