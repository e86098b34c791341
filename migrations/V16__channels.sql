-- Where a workspace's people are told of things besides the dashboard, and what is on its way there.

create table ah5.t_notification_channels (
    id uuid primary key,
    workspace_id uuid not null references ah5.t_workspaces on delete cascade,
    channel_type text not null check (channel_type in ('telegram', 'slack', 'webhook', 'email')),
    enabled boolean not null default true,
    -- Whose bot speaks.
    connection_id uuid,
    config jsonb not null check (jsonb_typeof(config) = 'object' and length(config::text) <= 8192),
    -- What a webhook is signed with, under the workspace's data key.
    sealed bytea check (get_byte(sealed, 0) = 2),
    -- Raised when the channel becomes another one: a proof of the old one proves nothing of it.
    revision bigint not null default 1,
    verified_at timestamptz,
    -- Proves an address: a keyed digest of what was mailed there.
    code_hash bytea check (length(code_hash) = 32),
    code_expires_at timestamptz,
    code_attempts integer not null default 0,
    -- Why the last message was given up, until one arrives again.
    error text check (length(error) <= 300),
    -- Nothing is sent before: the lease of whoever is sending, or a pause after a failure.
    busy_until timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (workspace_id, id),
    unique (workspace_id, channel_type),
    check ((connection_id is not null) = (channel_type in ('telegram', 'slack'))),
    check ((sealed is not null) = (channel_type = 'webhook')),
    foreign key (workspace_id, connection_id) references ah5.t_connections (workspace_id, id)
        on delete cascade
);

-- Messages that wait. Each is gone once it is sent or given up; a channel's leave in their order.
create table ah5.t_channel_outbox (
    -- What receivers know a message by, however often it comes.
    id uuid primary key,
    seq bigint generated always as identity,
    workspace_id uuid not null,
    channel_id uuid not null,
    notification_id uuid not null,
    -- `edit` changes a message that was sent.
    action text not null check (action in ('send', 'edit')),
    -- Sent only as long as it waits for a decision.
    approval_id uuid,
    content jsonb not null check (length(content::text) <= 32768),
    attempts integer not null default 0,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    unique (channel_id, notification_id, action),
    foreign key (workspace_id, channel_id)
        references ah5.t_notification_channels (workspace_id, id) on delete cascade,
    foreign key (workspace_id, approval_id)
        references ah5.t_approval_requests (workspace_id, id) on delete cascade
);
create index on ah5.t_channel_outbox (channel_id, seq);
create index on ah5.t_channel_outbox (expires_at);

-- Messages of approvals that can be edited, so that they say how it ended.
create table ah5.t_channel_messages (
    id uuid primary key,
    workspace_id uuid not null,
    channel_id uuid not null,
    approval_id uuid not null,
    chat_id text not null,
    message_id bigint not null,
    content jsonb not null,
    -- When its edit was put into the outbox.
    resolved_at timestamptz,
    created_at timestamptz not null default now(),
    foreign key (workspace_id, channel_id)
        references ah5.t_notification_channels (workspace_id, id) on delete cascade,
    foreign key (workspace_id, approval_id)
        references ah5.t_approval_requests (workspace_id, id) on delete cascade
);
create index on ah5.t_channel_messages (approval_id) where resolved_at is null;
create index on ah5.t_channel_messages (channel_id);
create index on ah5.t_channel_messages (created_at);

do $$
declare
    t text;
begin
    foreach t in array array['t_notification_channels', 't_channel_outbox', 't_channel_messages'] loop
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

-- Takes the next message of each channel that may send, in whatever workspace. Until `seconds` have
-- passed nobody else gets one of these channels.
create function ah5.claim_deliveries(most integer, seconds integer)
returns table (id uuid, workspace_id uuid, channel_id uuid, action text, approval_id uuid,
               content jsonb, attempts integer, created_at timestamptz)
language sql security definer set search_path = pg_catalog as $$
    with ready as (
        select c.id from ah5.t_notification_channels c
        where c.id in (select o.channel_id from ah5.t_channel_outbox o where o.expires_at > now())
          and c.enabled and c.verified_at is not null and c.busy_until <= clock_timestamp()
        order by c.busy_until limit most
        for update of c skip locked),
    leased as (
        update ah5.t_notification_channels c
        set busy_until = clock_timestamp() + make_interval(secs => seconds)
        from ready where c.id = ready.id),
    head as (
        select distinct on (o.channel_id) o.id
        from ah5.t_channel_outbox o join ready on ready.id = o.channel_id
        where o.expires_at > now()
        order by o.channel_id, o.seq)
    update ah5.t_channel_outbox o set attempts = o.attempts + 1
    from head where o.id = head.id
    returning o.id, o.workspace_id, o.channel_id, o.action, o.approval_id, o.content, o.attempts,
              o.created_at
$$;

-- Has the messages edited whose approval no longer waits, however it came to that.
create function ah5.queue_edits(most integer) returns void
language sql security definer set search_path = pg_catalog as $$
    with due as (
        select m.id from ah5.t_channel_messages m
        join ah5.t_approval_requests a on a.id = m.approval_id
        where m.resolved_at is null and a.status <> 'pending'
        limit most for update of m skip locked),
    resolved as (
        update ah5.t_channel_messages m set resolved_at = now()
        from due where m.id = due.id returning m.*)
    insert into ah5.t_channel_outbox
        (id, workspace_id, channel_id, notification_id, action, approval_id, content, expires_at)
    select gen_random_uuid(), r.workspace_id, r.channel_id, r.id, 'edit', r.approval_id,
           jsonb_build_object('chatId', r.chat_id, 'messageId', r.message_id, 'message', r.content),
           now() + interval '1 day'
    from resolved r
    on conflict do nothing
$$;

-- Drops what it is too late for.
create function ah5.prune_deliveries() returns void
language sql security definer set search_path = pg_catalog as $$
    delete from ah5.t_channel_outbox where expires_at < now();
    delete from ah5.t_channel_messages where created_at < now() - interval '30 days'
$$;

-- Ends whatever may have been ended, used or taken back since the backup was made. Signing keys are
-- not touched here: making new ones takes the key ring.
create function ah5.after_restore()
returns table (agents bigint, sessions bigint, personal_tokens bigint, approvals bigint,
               unknown_outcomes bigint, bootstrap_secrets bigint, invitations bigint, links bigint,
               letters bigint, newest_row timestamptz)
language plpgsql security definer set search_path = pg_catalog as $$
declare
    -- More than any epoch that was ever reached by counting: one that only comes after the restored
    -- one may have been given out before.
    fresh bigint := (extract(epoch from clock_timestamp()) * 1000)::bigint;
begin
    perform pg_advisory_xact_lock(hashtext('ah5.after_restore'));
    select max(ts) into newest_row from ah5.l_audit_events;
    update ah5.t_agents set epoch = greatest(epoch + 1, fresh);
    get diagnostics agents = row_count;
    update ah5.t_sessions set revoked_at = now() where revoked_at is null;
    get diagnostics sessions = row_count;
    update ah5.t_personal_tokens set revoked_at = now() where revoked_at is null;
    get diagnostics personal_tokens = row_count;
    -- One that was redeemed since is a good one again.
    update ah5.t_approval_requests set status = 'denied', sealed = null, decided_at = now()
        where status in ('pending', 'approved');
    get diagnostics approvals = row_count;
    update ah5.t_approval_requests
        set status = 'outcome_unknown', sealed = null, finished_at = now()
        where status = 'executing';
    get diagnostics unknown_outcomes = row_count;
    delete from ah5.t_agent_bootstrap_secrets;
    get diagnostics bootstrap_secrets = row_count;
    delete from ah5.t_invitations;
    get diagnostics invitations = row_count;
    delete from ah5.t_mail_proofs;
    get diagnostics links = row_count;
    delete from ah5.t_mail_outbox;
    get diagnostics letters = row_count;
    -- Messages and codes that were on their way then have arrived since.
    delete from ah5.t_channel_outbox;
    update ah5.t_notification_channels set code_hash = null, code_expires_at = null
        where code_hash is not null;
    delete from ah5.t_sign_in_flows;
    delete from ah5.t_webauthn_ceremonies;
    delete from ah5.l_agent_tokens;
    delete from ah5.t_open_streams;
    -- Stamps of another server's transactions would be found by every poll, or by none.
    update ah5.t_workspace_versions
        set version = version + 1, changed_xid = pg_current_xact_id();
    update ah5.t_installation set generation = gen_random_uuid(), restored_at = now();
    return next;
end $$;
