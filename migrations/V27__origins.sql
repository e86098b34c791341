-- Where things come from: consents that were begun outside of a browser, and workspaces of another
-- product.

-- A consent that a token began is not ended by a click that its owner may have been led to.
alter table ah5.t_pending_connections add column asks_first boolean not null default false;

-- Workspaces that an import made, and of which source: no other import writes into them, and none into
-- a workspace that is not here.
create table ah5.t_imports (
    workspace_id uuid primary key references ah5.t_workspaces on delete cascade,
    -- A digest of the source's key.
    source bytea not null check (length(source) = 32),
    imported_at timestamptz not null default now()
);

alter table ah5.t_imports enable row level security;
alter table ah5.t_imports force row level security;
create policy tenant on ah5.t_imports to ah5_control
    using (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid)
    with check (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid);
create policy owner on ah5.t_imports to current_user using (true) with check (true);
