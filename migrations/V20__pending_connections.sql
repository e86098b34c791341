-- Consents that people were sent to a provider for. A row belongs to the person who began: whoever else
-- comes back with it gets nothing. It is used once, by deleting it, and lives for minutes.
create table ah5.t_pending_connections (
    id uuid primary key,
    workspace_id uuid not null references ah5.t_workspaces on delete cascade,
    user_id uuid not null references ah5.t_users on delete cascade,
    provider text not null,
    service text not null,
    label text not null check (label <> ''),
    base_url text not null,
    -- Whose client is consented to. Null: the installation's own.
    oauth_app_id uuid,
    -- Bound: where code, verifier and device code are shown.
    token_url text not null,
    scopes text[] not null,
    -- Which connection gets the new tokens. Null: a new one.
    reauth_connection_id uuid,
    -- {"agentId", "actionTemplateId", "policyTier", "permissionRequestId"}
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    -- Envelope v2: the code verifier, or the device code.
    sealed_secret bytea not null check (get_byte(sealed_secret, 0) = 2),
    -- By a browser. Null: by a device code, or the state was used.
    state_hash bytea unique check (length(state_hash) = 32),
    redirect_uri text,
    -- A code that came back without the person being signed in. It waits, unused, for that browser.
    sealed_code bytea check (get_byte(sealed_code, 0) = 2),
    parked_hash bytea unique check (length(parked_hash) = 32),
    -- By a device code: how often the provider may be asked, and when it may be next.
    poll_seconds integer check (poll_seconds > 0),
    next_poll_at timestamptz,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    foreign key (workspace_id, oauth_app_id)
        references ah5.t_workspace_oauth_apps (workspace_id, id) on delete cascade,
    foreign key (workspace_id, reauth_connection_id)
        references ah5.t_connections (workspace_id, id) on delete cascade
);
create index on ah5.t_pending_connections (workspace_id);
create index on ah5.t_pending_connections (expires_at);
create index on ah5.t_pending_connections (user_id);
create index on ah5.t_pending_connections (oauth_app_id) where oauth_app_id is not null;
create index on ah5.t_pending_connections (reauth_connection_id)
    where reauth_connection_id is not null;

alter table ah5.t_pending_connections enable row level security;
alter table ah5.t_pending_connections force row level security;
create policy tenant on ah5.t_pending_connections to ah5_control
    using (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid)
    with check (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid);
create policy owner on ah5.t_pending_connections to current_user using (true) with check (true);

-- A browser comes back with a state, or with what its parked code is known by; which workspace that is
-- about is not known before.
create function ah5.find_pending_connection(hash bytea)
returns table (workspace_id uuid, id uuid)
language sql stable security definer set search_path = pg_catalog as $$
    select p.workspace_id, p.id from ah5.t_pending_connections as p
    where p.state_hash = hash or p.parked_hash = hash
$$;

create function ah5.prune_pending_connections() returns void
language sql security definer set search_path = pg_catalog as $$
    delete from ah5.t_pending_connections where expires_at < now()
$$;
