-- Members with the four roles, invitations, and personal access tokens.

update ah5.t_workspace_members set role = 'viewer' where role = 'member';
alter table ah5.t_workspace_members drop constraint t_workspace_members_role_check;
alter table ah5.t_workspace_members add constraint t_workspace_members_role_check
    check (role in ('viewer', 'approver', 'admin', 'owner'));

-- Somebody may own several workspaces.
alter table ah5.t_workspaces drop constraint t_workspaces_owner_id_key;
create index on ah5.t_workspaces (owner_id);

-- An invitation carries no secret: whoever has proved by mail that the address is theirs may take it.
create table ah5.t_invitations (
    id uuid primary key,
    workspace_id uuid not null references ah5.t_workspaces on delete cascade,
    email text not null check (email = lower(email)),
    role text not null check (role in ('viewer', 'approver', 'admin')),
    invited_by uuid not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    unique (workspace_id, email)
);
create index on ah5.t_invitations (email);

-- Only a digest of the token is kept. It ends with its holder's membership.
create table ah5.t_personal_tokens (
    id uuid primary key,
    workspace_id uuid not null,
    user_id uuid not null,
    name text not null check (name <> ''),
    token_hash bytea not null unique check (length(token_hash) = 32),
    scopes text[] not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    unique (workspace_id, id),
    foreign key (workspace_id, user_id) references ah5.t_workspace_members (workspace_id, user_id)
        on delete cascade
);
create index on ah5.t_personal_tokens (workspace_id, user_id);

-- Apart, since what moves with every call must not reload the workspace.
create table ah5.t_personal_token_usage (
    token_id uuid primary key,
    workspace_id uuid not null,
    last_used_at timestamptz not null,
    foreign key (workspace_id, token_id) references ah5.t_personal_tokens (workspace_id, id)
        on delete cascade
);

do $$
declare
    t text;
begin
    foreach t in array array['t_invitations', 't_personal_tokens', 't_personal_token_usage'] loop
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

create trigger inserted after insert on ah5.t_personal_tokens referencing new table as new_rows
    for each statement execute function ah5.on_inserted();
create trigger updated after update on ah5.t_personal_tokens
    referencing old table as old_rows new table as new_rows
    for each statement execute function ah5.on_updated();
create trigger deleted after delete on ah5.t_personal_tokens referencing old table as old_rows
    for each statement execute function ah5.on_deleted();

create view ah5.v_pat_hashes as
    select workspace_id, id, user_id, token_hash, scopes, expires_at
    from ah5.t_personal_tokens where revoked_at is null and expires_at > now();

-- Notes that personal tokens were used. At most one write a minute a token.
create function ah5.touch_tokens_used(tokens uuid[]) returns void
language sql security definer set search_path = pg_catalog as $$
    insert into ah5.t_personal_token_usage as u (token_id, workspace_id, last_used_at)
    select t.id, t.workspace_id, now() from ah5.t_personal_tokens t where t.id = any (tokens)
    order by t.id
    on conflict (token_id) do update set last_used_at = excluded.last_used_at
        where u.last_used_at < excluded.last_used_at - interval '1 minute';
$$;

-- What is open for an address, before any workspace is known.
create function ah5.open_invitations(address text)
returns table (id uuid, workspace_id uuid, workspace_name text, role text, expires_at timestamptz)
language sql stable security definer set search_path = pg_catalog as $$
    select i.id, i.workspace_id, w.name, i.role, i.expires_at
    from ah5.t_invitations i join ah5.t_workspaces w on w.id = i.workspace_id
    where i.email = address and i.expires_at > now()
    order by i.created_at
$$;

-- Name and address of a workspace's members: users themselves belong to no workspace.
drop function ah5.member_workspaces(uuid);
create function ah5.member_workspaces(member uuid)
returns table (workspace_id uuid, role text, owned boolean, name text)
language sql stable security definer set search_path = pg_catalog as $$
    select m.workspace_id, m.role, w.owner_id = member, w.name
    from ah5.t_workspace_members m join ah5.t_workspaces w on w.id = m.workspace_id
    where m.user_id = member
    order by (w.owner_id = member) desc, m.created_at, m.workspace_id
$$;
