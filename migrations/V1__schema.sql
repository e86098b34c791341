-- State tables are t_*, append-only logs l_*. References between the rows of one tenant are
-- composite, (workspace_id, id), so that no row can point into another tenant.

create schema if not exists ah5;

-- People ------------------------------------------------------------------------------------------

create table ah5.t_users (
    id uuid primary key,
    email text not null unique check (email = lower(email)),
    name text not null,
    image text,
    -- How the address came to count as verified: by a mailed link, or because no mail is configured.
    email_verification text not null default 'pending'
        check (email_verification in ('pending', 'assumed', 'proven')),
    platform_role text not null default 'user',
    disabled_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table ah5.t_accounts (
    id uuid primary key,
    user_id uuid not null references ah5.t_users on delete cascade,
    provider_id text not null,
    account_id text not null,
    -- Argon2id, PHC string format. Only for provider_id = 'credential'.
    password_hash text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (provider_id, account_id)
);

create table ah5.t_sessions (
    id uuid primary key,
    user_id uuid not null references ah5.t_users on delete cascade,
    token_hash bytea not null unique check (length(token_hash) = 32),
    expires_at timestamptz not null,
    renewed_at timestamptz not null default now(),
    revoked_at timestamptz,
    ip_address text,
    user_agent text,
    created_at timestamptz not null default now()
);
create index on ah5.t_sessions (user_id);
create index on ah5.t_sessions (revoked_at) where revoked_at is not null;

create table ah5.t_workspaces (
    id uuid primary key,
    name text not null check (name <> ''),
    owner_id uuid not null unique references ah5.t_users,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table ah5.t_workspace_members (
    workspace_id uuid not null references ah5.t_workspaces on delete cascade,
    user_id uuid not null references ah5.t_users on delete cascade,
    role text not null check (role in ('viewer', 'member', 'admin', 'owner')),
    created_at timestamptz not null default now(),
    primary key (workspace_id, user_id)
);
create index on ah5.t_workspace_members (user_id);

-- Keys --------------------------------------------------------------------------------------------

-- The workspace's data key, wrapped by a key of the ring. Deleting the row shreds its credentials.
create table ah5.t_workspace_keys (
    workspace_id uuid primary key references ah5.t_workspaces on delete cascade,
    ring_key_id text not null,
    wrapped bytea not null,
    created_at timestamptz not null default now()
);

-- The key pairs that sign tokens. The private half is sealed by the ring; the MAC, also by the
-- ring, keeps a database writer from adding a key of his own.
create table ah5.t_signing_keys (
    kid text primary key,
    kind text not null check (kind in ('agent', 'user')),
    alg text not null,
    public_jwk jsonb not null,
    sealed_private bytea not null,
    mac bytea not null,
    created_at timestamptz not null default now(),
    retired_at timestamptz
);

-- Agents ------------------------------------------------------------------------------------------

create table ah5.t_agents (
    id uuid primary key,
    workspace_id uuid not null references ah5.t_workspaces on delete cascade,
    name text not null check (name <> ''),
    description text not null default '',
    icon_url text,
    status text not null default 'created' check (status in ('created', 'active', 'disabled')),
    public_key_jwk jsonb,
    -- A token is good only while it names this number.
    epoch bigint not null default 1,
    enrolled_at timestamptz,
    disabled_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (workspace_id, id)
);

create table ah5.t_agent_bootstrap_secrets (
    id uuid primary key,
    workspace_id uuid not null,
    agent_id uuid not null,
    secret_hash bytea not null unique check (length(secret_hash) = 32),
    expires_at timestamptz not null,
    consumed_at timestamptz,
    created_at timestamptz not null default now(),
    foreign key (workspace_id, agent_id) references ah5.t_agents (workspace_id, id) on delete cascade
);
create index on ah5.t_agent_bootstrap_secrets (agent_id);

-- What moves with every call stays out of t_agents: its triggers would reload the workspace.
create table ah5.t_agent_usage (
    agent_id uuid primary key,
    workspace_id uuid not null,
    token_last_used_at timestamptz not null,
    foreign key (workspace_id, agent_id) references ah5.t_agents (workspace_id, id) on delete cascade
);

create table ah5.l_assertion_jtis (
    agent_id uuid not null,
    jti_hash bytea not null check (length(jti_hash) = 32),
    expires_at timestamptz not null,
    primary key (agent_id, jti_hash)
);
create index on ah5.l_assertion_jtis (expires_at);

-- Connections and policies --------------------------------------------------------------------------

create table ah5.t_connections (
    id uuid primary key,
    workspace_id uuid not null references ah5.t_workspaces on delete cascade,
    provider text not null,
    service text not null,
    label text not null check (label <> ''),
    status text not null default 'healthy' check (status in ('healthy', 'needs_reauth', 'revoked')),
    -- Where calls may go, and the slot that the credential fills: both are bound into the seal.
    base_url text not null,
    auth jsonb not null,
    granted_scopes text[] not null default '{}',
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (workspace_id, id)
);

create table ah5.t_connection_credentials (
    connection_id uuid primary key,
    workspace_id uuid not null,
    version bigint not null default 1,
    -- Envelope v2; the first byte is the version. v1 is never opened by a server.
    sealed bytea not null check (get_byte(sealed, 0) = 2),
    updated_at timestamptz not null default now(),
    foreign key (workspace_id, connection_id)
        references ah5.t_connections (workspace_id, id) on delete cascade
);

create table ah5.t_policies (
    id uuid primary key,
    workspace_id uuid not null references ah5.t_workspaces on delete cascade,
    agent_id uuid not null,
    connection_id uuid not null,
    status text not null default 'active' check (status in ('active', 'revoked')),
    version bigint not null default 1,
    allowed_models text[] not null default '{B}' check (allowed_models <@ '{A,B}'),
    default_mode text not null default 'read_only'
        check (default_mode in ('read_only', 'read_write', 'custom')),
    step_up_approval text not null default 'risk_based'
        check (step_up_approval in ('always', 'risk_based', 'never')),
    security_preset text check (security_preset in ('minimal', 'standard', 'strict')),
    action_template_id text,
    allowlists jsonb not null default '[]' check (jsonb_typeof(allowlists) = 'array'),
    rate_limits jsonb,
    time_windows jsonb not null default '[]' check (jsonb_typeof(time_windows) = 'array'),
    rules jsonb not null default '{"request":[],"response":[]}'
        check (jsonb_typeof(rules) = 'object'),
    provider_constraints jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (workspace_id, id),
    foreign key (workspace_id, agent_id) references ah5.t_agents (workspace_id, id) on delete cascade,
    foreign key (workspace_id, connection_id)
        references ah5.t_connections (workspace_id, id) on delete cascade
);
create index on ah5.t_policies (agent_id, connection_id);
create index on ah5.t_policies (connection_id);

-- Audit -------------------------------------------------------------------------------------------

-- No foreign keys: a row outlives what it speaks of. Two B-trees on a live partition at most.
create table ah5.l_audit_events (
    audit_id uuid not null,
    ts timestamptz not null,
    workspace_id uuid not null,
    actor_kind text not null,
    actor_id text not null,
    agent_id uuid,
    connection_id uuid,
    policy_id uuid,
    policy_version bigint,
    rule text,
    action text not null,
    decision text not null check (decision in ('allowed', 'denied', 'error')),
    method text,
    host text,
    path_digest bytea,
    upstream_status smallint,
    bytes_in bigint,
    bytes_out bigint,
    timings integer[] not null,
    details jsonb not null,
    spool_id uuid not null,
    seq bigint not null,
    prev_hash bytea not null,
    hash bytea not null,
    mac bytea not null,
    primary key (ts, audit_id)
) partition by range (ts);
create table ah5.l_audit_events_default partition of ah5.l_audit_events default;
create index on ah5.l_audit_events (workspace_id, ts desc, audit_id desc);
create index on ah5.l_audit_events using brin (ts);

-- How far each spool has been taken over: rows are stored exactly once.
create table ah5.t_audit_spools (
    spool_id uuid primary key,
    acked_seq bigint not null default 0,
    updated_at timestamptz not null default now()
);

-- Records that Postgres refused. Never empty without an alarm.
create table ah5.t_audit_quarantine (
    spool_id uuid not null,
    spool_seq bigint not null,
    record bytea not null,
    why text not null,
    created_at timestamptz not null default now(),
    primary key (spool_id, spool_seq)
);

-- The last link of each chain that the control plane writes.
create table ah5.t_audit_heads (
    workspace_id uuid not null,
    spool_id uuid not null,
    seq bigint not null,
    hash bytea not null,
    primary key (workspace_id, spool_id)
);

-- Makes the partitions of this month and the three after it. Run by the control plane.
create function ah5.ensure_audit_partitions() returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare
    first date;
begin
    perform pg_advisory_xact_lock(hashtext('ah5.ensure_audit_partitions'));
    for i in 0..3 loop
        first := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => i))::date;
        execute format(
            'create table if not exists ah5.l_audit_events_%s partition of ah5.l_audit_events
                for values from (%L) to (%L)',
            to_char(first, 'YYYYMM'),
            first::timestamp at time zone 'UTC',
            (first + interval '1 month') at time zone 'UTC');
    end loop;
end $$;
select ah5.ensure_audit_partitions();
