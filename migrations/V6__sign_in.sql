-- Signing in: mailed proofs, mail on its way, throttling, sign-in at other parties.

-- What a mailed link proves. The link itself is known to the reader of the mail only: a hash is
-- kept, and using it deletes the row.
create table ah5.t_mail_proofs (
    token_hash bytea primary key check (length(token_hash) = 32),
    user_id uuid not null references ah5.t_users on delete cascade,
    purpose text not null check (purpose in ('reset', 'verify')),
    -- The address that the mail went to: good only while it is still the user's.
    email text not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
);
create index on ah5.t_mail_proofs (user_id);
create index on ah5.t_mail_proofs (expires_at);

-- Mail that waits to be sent, sealed by the key ring: links in it are secrets. Gone once sent.
create table ah5.t_mail_outbox (
    id uuid primary key,
    sealed bytea not null,
    attempts integer not null default 0,
    -- Also the lease of whoever is sending it.
    next_attempt_at timestamptz not null default now(),
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
);
create index on ah5.t_mail_outbox (next_attempt_at);

-- Failed attempts, by a keyed digest of 22 bits of what failed (an account, a network): the table
-- cannot outgrow that, names nobody, and no sender can choose whom he shares a row with.
create table ah5.t_throttle (
    kind text not null,
    slot integer not null check (slot between 0 and 4194303),
    attempts integer not null,
    last_at timestamptz not null default now(),
    blocked_until timestamptz not null default now(),
    primary key (kind, slot)
);
create index on ah5.t_throttle (last_at);

-- Sign-ins under way at another party. Bound to one browser: its cookie is needed beside the state,
-- and both together give the PKCE verifier and the nonce, which are kept nowhere.
create table ah5.t_sign_in_flows (
    state_hash bytea primary key check (length(state_hash) = 32),
    browser_hash bytea not null check (length(browser_hash) = 32),
    provider_id text not null,
    return_to text not null,
    new_user_to text,
    error_to text,
    -- Who, being signed in, asked for this identity to be linked.
    link_user_id uuid references ah5.t_users on delete cascade,
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
);
create index on ah5.t_sign_in_flows (expires_at);

-- An identity elsewhere is (issuer, subject), whatever the provider is called here.
alter table ah5.t_accounts add column issuer text;
alter table ah5.t_accounts drop constraint t_accounts_provider_id_account_id_key;
create unique index t_accounts_credential on ah5.t_accounts (user_id)
    where provider_id = 'credential';
create unique index t_accounts_identity on ah5.t_accounts (issuer, account_id)
    where issuer is not null;
alter table ah5.t_accounts add constraint t_accounts_kind
    check ((provider_id = 'credential') = (issuer is null));
create index on ah5.t_accounts (user_id);

-- Ends every token of the agents in the workspaces that this user owns.
create function ah5.raise_epochs_of_owner(owner uuid) returns void
language sql security definer set search_path = pg_catalog as $$
    update ah5.t_agents set epoch = epoch + 1, updated_at = now()
    where workspace_id in (select id from ah5.t_workspaces where owner_id = owner)
$$;

-- Ends every personal token of this user, in whatever workspace.
create function ah5.revoke_tokens_of(holder uuid) returns void
language sql security definer set search_path = pg_catalog as $$
    update ah5.t_personal_tokens set revoked_at = now()
    where user_id = holder and revoked_at is null
$$;
