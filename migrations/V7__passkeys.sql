-- Passkeys, the ceremonies that make and use them, and when a session's person last proved himself.

create table ah5.t_passkeys (
    id uuid primary key,
    user_id uuid not null references ah5.t_users on delete cascade,
    name text not null,
    credential_id bytea not null unique check (length(credential_id) between 1 and 1023),
    -- The public key, the counter and what the authenticator said of itself. Nothing here is secret.
    credential jsonb not null,
    -- The authenticator's count of signatures; 0 for those that don't count.
    counter bigint not null default 0,
    transports text[] not null default '{}',
    last_used_at timestamptz,
    created_at timestamptz not null default now()
);
create index on ah5.t_passkeys (user_id);

-- A challenge that was handed out. The row is deleted as it is read, so it answers once.
create table ah5.t_webauthn_ceremonies (
    -- Of the token in the browser's cookie.
    token_hash bytea primary key check (length(token_hash) = 32),
    purpose text not null check (purpose in ('register', 'reauthenticate', 'sign_in')),
    user_id uuid references ah5.t_users on delete cascade,
    state jsonb not null,
    expires_at timestamptz not null default now() + interval '5 minutes',
    -- Before signing in nobody is known; after it somebody is.
    check ((purpose = 'sign_in') = (user_id is null))
);
create index on ah5.t_webauthn_ceremonies (expires_at);
create index on ah5.t_webauthn_ceremonies (user_id);

alter table ah5.t_sessions
    add column authenticated_at timestamptz,
    add column authenticated_by text not null default 'password'
        check (authenticated_by in ('password', 'passkey', 'provider'));
-- Sessions from before count from their sign-in.
update ah5.t_sessions set authenticated_at = created_at;
alter table ah5.t_sessions
    alter column authenticated_at set default now(),
    alter column authenticated_at set not null;
