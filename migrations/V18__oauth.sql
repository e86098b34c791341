-- What a connection by OAuth 2 needs, and where mail connections go. Columns that the seals of the
-- credential are bound to are marked; changing them means entering the secret again.

-- A client that a workspace has registered at a provider.
create table ah5.t_workspace_oauth_apps (
    id uuid primary key,
    workspace_id uuid not null references ah5.t_workspaces on delete cascade,
    provider text not null check (provider <> ''),
    client_id text not null check (client_id <> ''),
    -- Envelope v2, bound to provider, client id, token endpoint and version. None: a public client.
    sealed_secret bytea check (get_byte(sealed_secret, 0) = 2),
    version bigint not null default 1,
    tenant_id text,
    -- Of a provider that is not in the catalogue: where its endpoints are and how it is spoken to.
    endpoints jsonb check (jsonb_typeof(endpoints) = 'object'),
    check ((endpoints is not null) = (provider = 'custom')),
    label text not null check (label <> ''),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (workspace_id, id)
);
-- One for each provider of the catalogue.
create unique index on ah5.t_workspace_oauth_apps (workspace_id, provider)
    where provider <> 'custom';

alter table ah5.t_connections
    -- Bound. Null: the installation's own client, or no OAuth at all.
    add column oauth_app_id uuid,
    -- Bound. Where the refresh token is shown.
    add column token_url text,
    -- Bound. {"imap": {"host", "port", "tls", "username"}, "smtp": {"host", "port", "starttls", "username"}}
    add column mail jsonb check (jsonb_typeof(mail) = 'object'),
    -- The provider's own, stable name of the account: another one may not take its place.
    add column account text,
    -- Of the consent: what was granted may be less.
    add column asked_scopes text[] not null default '{}',
    -- Why a person has to look after it.
    add column reauth_reason text,
    add foreign key (workspace_id, oauth_app_id)
        references ah5.t_workspace_oauth_apps (workspace_id, id) on delete set null (oauth_app_id);
create index on ah5.t_connections (oauth_app_id) where oauth_app_id is not null;

alter table ah5.t_connection_credentials
    -- The refresh token. Calls need only what is in `sealed`.
    add column sealed_refresh bytea check (get_byte(sealed_refresh, 0) = 2),
    -- When `sealed` is good no more, as the provider said. Null: it did not say.
    add column expires_at timestamptz;
create index on ah5.t_connection_credentials (expires_at) where sealed_refresh is not null;

alter table ah5.t_workspace_oauth_apps enable row level security;
alter table ah5.t_workspace_oauth_apps force row level security;
create policy tenant on ah5.t_workspace_oauth_apps to ah5_control
    using (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid);
create policy owner on ah5.t_workspace_oauth_apps to current_user using (true) with check (true);
-- A data plane refreshes what expires while it is used.
create policy reader on ah5.t_workspace_oauth_apps for select to ah5_data using (true);
