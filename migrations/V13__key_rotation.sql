-- Signing keys are replaced, by schedule or by an operator, and what a restored backup brings back to
-- life is ended.

alter table ah5.t_signing_keys
    -- Gone from the moment on that another key signs in its place.
    alter column sealed_private drop not null,
    -- Why there is this key. The rows are kept: they are the record of every rotation.
    add column reason text not null default 'first start'
        check (reason in ('first start', 'schedule', 'operator', 'compromised', 'restore')),
    -- It verifies as soon as it is stored, and signs from here on.
    add column signs_from timestamptz,
    add column replaced_at timestamptz,
    -- The longest life of a token of its, and until when the last of them may live.
    add column token_seconds integer not null default 7200 check (token_seconds > 0),
    add column verifies_until timestamptz,
    -- Given up because somebody else may have it.
    add column compromised boolean not null default false;
update ah5.t_signing_keys set signs_from = created_at;
update ah5.t_signing_keys set replaced_at = retired_at, sealed_private = null, mac = ''
    where retired_at is not null;
alter table ah5.t_signing_keys
    alter column reason drop default,
    alter column token_seconds drop default,
    alter column signs_from set not null,
    add check ((replaced_at is null) = (sealed_private is not null)),
    -- A retired key loses what vouched for it: undoing its end takes more than one column.
    add check (retired_at is null or (replaced_at is not null and mac = ''));

-- One row. Another generation means that the database is no longer the one that it was, though
-- numbers in it may be the same.
create table ah5.t_installation (
    is_the_only_one boolean primary key default true check (is_the_only_one),
    generation uuid not null default gen_random_uuid(),
    restored_at timestamptz
);
insert into ah5.t_installation default values;

-- Every workspace, some at a time, in the order of their ids.
create function ah5.workspace_ids(after uuid, most integer) returns setof uuid
language sql stable security definer set search_path = pg_catalog as $$
    select id from ah5.t_workspaces where id > after order by id limit most
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
