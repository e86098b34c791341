-- Refreshing what expires, and taking back at providers what was revoked here. Both planes refresh, by
-- the functions below and in no other way: in the whole fleet one use of a refresh token is under way at
-- a time, and no late answer brings a revoked connection back.
--
-- Rows are locked in this order: refresh, connection, credential.

create table ah5.t_refreshes (
    connection_id uuid primary key,
    workspace_id uuid not null,
    -- Of the credential that is to be replaced: what is written here tells of no other one.
    version bigint not null,
    -- Who may use the refresh token, and until when.
    holder uuid,
    leased_until timestamptz,
    -- Since when the provider may have seen the token. Cleared with the answer.
    intended_at timestamptz,
    -- An earlier holder was never heard of again; the token is being tried once more.
    interrupted boolean not null default false,
    -- The provider may have taken the token and its answer was lost: a refusal now says little.
    doubtful boolean not null default false,
    failures integer not null default 0,
    next_attempt_at timestamptz not null default '-infinity',
    foreign key (workspace_id, connection_id)
        references ah5.t_connections (workspace_id, id) on delete cascade
);

-- Connections that have come to need a person, whoever noticed, until their owners are told.
create table ah5.t_reauth_notices (
    id bigint generated always as identity primary key,
    workspace_id uuid not null,
    connection_id uuid not null,
    reason text,
    created_at timestamptz not null default clock_timestamp(),
    foreign key (workspace_id, connection_id)
        references ah5.t_connections (workspace_id, id) on delete cascade
);

-- Tokens to be revoked at their providers. The seal is bound to what the connection was then.
create table ah5.t_revocations (
    id uuid primary key default gen_random_uuid(),
    workspace_id uuid not null,
    connection_id uuid not null,
    provider text not null,
    service text not null,
    auth jsonb not null,
    base_url text not null,
    token_url text not null,
    oauth_app_id uuid,
    version bigint not null,
    -- The refresh token, with which the whole grant goes; else the access token.
    is_refresh boolean not null,
    -- Gone once it is over.
    sealed bytea check (get_byte(sealed, 0) = 2),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    result text check (result in ('revoked', 'unsupported', 'failed')),
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    check ((sealed is null) = (result is not null)),
    foreign key (workspace_id, connection_id)
        references ah5.t_connections (workspace_id, id) on delete cascade
);
create index on ah5.t_revocations (next_attempt_at) where result is null;
create index on ah5.t_revocations (created_at);
create index on ah5.t_refreshes (workspace_id) where leased_until is not null;

do $$
declare
    t text;
begin
    foreach t in array array['t_refreshes', 't_reauth_notices', 't_revocations'] loop
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

create function ah5.on_needs_reauth() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    insert into ah5.t_reauth_notices (workspace_id, connection_id, reason)
    values (new.workspace_id, new.id, new.reauth_reason);
    return null;
end $$;
create trigger needs_reauth after update of status on ah5.t_connections
    for each row when (old.status = 'healthy' and new.status = 'needs_reauth')
    execute function ah5.on_needs_reauth();

-- Says that a person has to look after the connection; only of the credential of this version, and only
-- while it is healthy.
create function ah5.mark_needs_reauth(connection uuid, of_version bigint, why text) returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
    -- What is read of the credential below is as new as this lock.
    perform from ah5.t_connections c where c.id = connection for no key update;
    update ah5.t_connections c set status = 'needs_reauth', reauth_reason = why, updated_at = now()
    where c.id = connection and c.status = 'healthy'
      and exists (select from ah5.t_connection_credentials s
                  where s.connection_id = c.id and s.version = of_version);
    return found;
end $$;

-- Takes the right to refresh the credential of version `seen`, for so many seconds. `outcome` is
-- `leased`, or why not: `fresh` (there is another version by now), `busy` (somebody else has it), `later`
-- (it failed not long ago), `needs_reauth`, `gone`. After a holder that was never heard of again the
-- token is tried once more; after two a person is needed.
create function ah5.lease_refresh(
    workspace uuid, connection uuid, seen bigint, lease uuid, seconds integer)
returns table (outcome text, failures integer, doubtful boolean, wait_ms integer)
language plpgsql security definer set search_path = pg_catalog as $$
#variable_conflict use_column
declare
    now_is timestamptz;
    held ah5.t_refreshes;
    current_status text;
    current_version bigint;
begin
    insert into ah5.t_refreshes (connection_id, workspace_id, version)
    select s.connection_id, s.workspace_id, s.version from ah5.t_connection_credentials s
    where s.connection_id = connection and s.workspace_id = workspace and s.sealed_refresh is not null
    on conflict do nothing;
    select * into held from ah5.t_refreshes r
    where r.connection_id = connection and r.workspace_id = workspace for update;
    select c.status, s.version into current_status, current_version
    from ah5.t_connections c join ah5.t_connection_credentials s on s.connection_id = c.id
    where c.id = connection and c.workspace_id = workspace;
    now_is := clock_timestamp();
    if held.connection_id is null or current_version is null or current_status = 'revoked' then
        return query select 'gone', 0, false, 0;
        return;
    elsif current_version <> seen then
        return query select 'fresh', 0, false, 0;
        return;
    elsif current_status <> 'healthy' then
        return query select 'needs_reauth', 0, false, 0;
        return;
    end if;
    if held.version <> current_version then
        update ah5.t_refreshes r
        set version = current_version, holder = null, leased_until = null, intended_at = null,
            interrupted = false, doubtful = false, failures = 0, next_attempt_at = '-infinity'
        where r.connection_id = connection returning * into held;
    end if;
    if held.leased_until > now_is then
        return query select 'busy', 0, false,
            ceil(extract(epoch from held.leased_until - now_is) * 1000)::integer;
        return;
    elsif held.next_attempt_at > now_is then
        return query select 'later', 0, false,
            ceil(extract(epoch from held.next_attempt_at - now_is) * 1000)::integer;
        return;
    elsif held.intended_at is not null and held.interrupted then
        perform ah5.mark_needs_reauth(connection, current_version, 'refresh_interrupted');
        return query select 'needs_reauth', 0, false, 0;
        return;
    end if;
    update ah5.t_refreshes r
    set holder = lease, leased_until = now_is + make_interval(secs => seconds),
        interrupted = held.interrupted or held.intended_at is not null, intended_at = null
    where r.connection_id = connection returning * into held;
    return query select 'leased', held.failures, held.doubtful or held.interrupted, 0;
end $$;

-- Notes that the token is about to be shown. False for a lease that is no more, or will not last for as
-- long as the provider is given.
create function ah5.begin_refresh(connection uuid, lease uuid, at_least integer) returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
    update ah5.t_refreshes set intended_at = clock_timestamp()
    where connection_id = connection and holder = lease
      and leased_until > clock_timestamp() + make_interval(secs => at_least);
    return found;
end $$;

-- Puts a new credential in the place of the one of this version, whoever holds the lease by now: the
-- provider's last word counts. `revoked` and `superseded` change nothing; what was granted to a
-- connection that has been revoked meanwhile is to be revoked, too.
create function ah5.commit_refresh(
    workspace uuid, connection uuid, of_version bigint, new_sealed bytea, new_refresh bytea,
    new_expiry timestamptz, scopes text[]) returns text
language plpgsql security definer set search_path = pg_catalog as $$
declare
    current_status text;
begin
    perform from ah5.t_refreshes where connection_id = connection for update;
    select status into current_status from ah5.t_connections
    where id = connection and workspace_id = workspace for no key update;
    if current_status is null then
        return 'revoked';
    elsif current_status = 'revoked' then
        insert into ah5.t_revocations (workspace_id, connection_id, provider, service, auth, base_url,
                                       token_url, oauth_app_id, version, is_refresh, sealed)
        select c.workspace_id, c.id, c.provider, c.service, c.auth, c.base_url, c.token_url,
               c.oauth_app_id, of_version + 1, true, new_refresh
        from ah5.t_connections c where c.id = connection and c.token_url is not null;
        return 'revoked';
    end if;
    update ah5.t_connection_credentials
    set version = of_version + 1, sealed = new_sealed, sealed_refresh = new_refresh,
        expires_at = new_expiry, updated_at = clock_timestamp()
    where connection_id = connection and workspace_id = workspace and version = of_version;
    if not found then
        return 'superseded';
    end if;
    update ah5.t_connections
    set status = 'healthy', reauth_reason = null, updated_at = now(),
        granted_scopes = coalesce(scopes, granted_scopes)
    where id = connection
      and (status <> 'healthy' or granted_scopes <> coalesce(scopes, granted_scopes));
    update ah5.t_refreshes
    set version = of_version + 1, holder = null, leased_until = null, intended_at = null,
        interrupted = false, doubtful = false, failures = 0, next_attempt_at = '-infinity'
    where connection_id = connection;
    return 'committed';
end $$;

-- Gives the lease back after an attempt that led to nothing. The account stays as it is.
create function ah5.fail_refresh(connection uuid, lease uuid, pause_ms integer, doubt boolean)
returns void
language sql security definer set search_path = pg_catalog as $$
    update ah5.t_refreshes
    set holder = null, leased_until = null, intended_at = null, failures = failures + 1,
        doubtful = doubtful or interrupted or doubt, interrupted = false,
        next_attempt_at = clock_timestamp() + make_interval(secs => pause_ms / 1000.0)
    where connection_id = connection and holder = lease
$$;

-- Gives the lease back after the provider's final refusal. False if that is no news: the credential is
-- another one by now, or the connection is not healthy any more.
create function ah5.refuse_refresh(connection uuid, lease uuid, of_version bigint, why text)
returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
    update ah5.t_refreshes set holder = null, leased_until = null, intended_at = null
    where connection_id = connection and holder = lease;
    return ah5.mark_needs_reauth(connection, of_version, why);
end $$;

-- What expires soon, in whatever workspace: in ten minutes, or in a fifth of its life where that is
-- less. A quarter of it is spread, so that what was made at once isn't renewed at once.
create function ah5.due_refreshes(most integer)
returns table (workspace_id uuid, connection_id uuid, version bigint)
language sql stable security definer set search_path = pg_catalog as $$
    select workspace_id, connection_id, version from (
        select s.workspace_id, s.connection_id, s.version, s.expires_at,
               row_number() over (partition by s.workspace_id order by s.expires_at)
                   + (select count(*) from ah5.t_refreshes l where l.workspace_id = s.workspace_id
                      and l.leased_until > clock_timestamp()) as place
        from ah5.t_connection_credentials s
        join ah5.t_connections c on c.id = s.connection_id and c.status = 'healthy'
        left join ah5.t_refreshes r on r.connection_id = s.connection_id and r.version = s.version
        where s.sealed_refresh is not null
          and s.expires_at < clock_timestamp() + interval '10 minutes'
          and s.expires_at - (1 - (hashtext(s.connection_id::text) & 255) / 1024.0)
              * greatest(interval '0', least(interval '10 minutes', (s.expires_at - s.updated_at) / 5))
              < clock_timestamp()
          and (r.connection_id is null
               or coalesce(r.leased_until, '-infinity') < clock_timestamp()
                  and r.next_attempt_at < clock_timestamp())
    ) due
    -- Each workspace in its turn, and two of one at a time: slow providers hold up their own.
    where place <= 2 order by place, expires_at limit most
$$;

create function ah5.pending_reauth_notices(most integer) returns table (id bigint, workspace_id uuid)
language sql stable security definer set search_path = pg_catalog as $$
    select id, workspace_id from ah5.t_reauth_notices order by id limit most
$$;

-- Takes what is to be revoked, in whatever workspace. Until `seconds` have passed nobody else gets it.
create function ah5.claim_revocations(most integer, seconds integer)
returns table (id uuid, workspace_id uuid)
language sql security definer set search_path = pg_catalog as $$
    with due as (
        select r.id from ah5.t_revocations r
        where r.result is null and r.next_attempt_at <= clock_timestamp()
          -- Two of one workspace at a time.
          and r.id in (
            select id from (
                select d.id, row_number() over (
                    partition by d.workspace_id order by d.next_attempt_at) as place
                from ah5.t_revocations d
                where d.result is null and d.next_attempt_at <= clock_timestamp()) first
            where place <= 2)
        order by r.next_attempt_at limit most for update skip locked)
    update ah5.t_revocations r
    set attempts = r.attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs => seconds)
    from due where r.id = due.id
    returning r.id, r.workspace_id
$$;

create function ah5.prune_revocations() returns void
language sql security definer set search_path = pg_catalog as $$
    delete from ah5.t_revocations
    where result is not null and created_at < now() - interval '30 days'
$$;
