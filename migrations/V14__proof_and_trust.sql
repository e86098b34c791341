-- Agents that must prove possession of a key at every call, and the parties whose word on a
-- workload is as good as an agent's own signature.

alter table ah5.t_agents add column require_dpop boolean not null default false;

-- Whoever shows a token of this issuer for this subject is the agent. All three are compared exactly.
create table ah5.t_agent_trusts (
    id uuid primary key,
    workspace_id uuid not null,
    agent_id uuid not null,
    issuer text not null check (length(issuer) between 1 and 512),
    subject text not null check (length(subject) between 1 and 512),
    -- Where the issuer's keys are; null: where its own discovery document says.
    jwks_uri text check (length(jwks_uri) between 1 and 512),
    created_by uuid not null,
    created_at timestamptz not null default now(),
    unique (agent_id, issuer, subject),
    foreign key (workspace_id, agent_id) references ah5.t_agents (workspace_id, id) on delete cascade
);

alter table ah5.t_agent_trusts enable row level security;
alter table ah5.t_agent_trusts force row level security;
create policy tenant on ah5.t_agent_trusts to ah5_control
    using (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid)
    with check (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid);
do $$
begin
    execute 'create policy owner on ah5.t_agent_trusts to current_user using (true) with check (true)';
end $$;

-- Proofs that were used, where no process alone remembers them. Nobody reads or writes it but by the
-- function.
create table ah5.l_dpop_proofs (
    proof_hash bytea primary key check (length(proof_hash) = 32),
    expires_at timestamptz not null
);
create index on ah5.l_dpop_proofs (expires_at);

-- Marks a proof used; false if it was used before. It is kept for a minute longer than it is good for
-- (`last_second`, since 1970-01-01 UTC), as clocks differ. Each call also drops a few that can be used no
-- more, so that the table never holds more than the last minutes' proofs.
create function ah5.spend_proof(proof bytea, last_second bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
    delete from ah5.l_dpop_proofs where proof_hash in (
        select old.proof_hash from ah5.l_dpop_proofs old where old.expires_at < now()
        limit 4 for update skip locked);
    insert into ah5.l_dpop_proofs (proof_hash, expires_at)
    values (proof, to_timestamp(last_second) + interval '1 minute')
    on conflict (proof_hash) do nothing;
    return found;
end $$;
