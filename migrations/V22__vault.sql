-- One key follows another, of the ring as of the workspaces, while calls go on.

alter table ah5.t_workspace_keys
    -- The data key before this one, for as long as something may still be sealed under it.
    add column previous_ring_key_id text,
    add column previous_wrapped bytea,
    -- Since when this key is the one that seals.
    add column rotated_at timestamptz,
    add check ((previous_wrapped is null) = (previous_ring_key_id is null));

-- Which keys of the ring each process holds: a key is not made current before all have it, and not
-- retired before none works with it.
create table ah5.t_ring_holders (
    process uuid primary key,
    plane text not null check (plane in ('control', 'data')),
    current text not null check (length(current) <= 64),
    keys text[] not null check (cardinality(keys) <= 64),
    seen_at timestamptz not null default clock_timestamp()
);

create function ah5.report_ring(process uuid, plane text, current text, keys text[]) returns void
language sql security definer set search_path = pg_catalog as $$
    delete from ah5.t_ring_holders where seen_at < clock_timestamp() - interval '1 hour';
    insert into ah5.t_ring_holders as h (process, plane, current, keys)
    values (report_ring.process, report_ring.plane, report_ring.current, report_ring.keys)
    on conflict on constraint t_ring_holders_pkey do update
    set current = excluded.current, keys = excluded.keys, seen_at = clock_timestamp()
$$;

-- By which key of the ring what is sealed: its id stands in front.
create function ah5.ring_key_of(sealed bytea) returns text
language sql immutable set search_path = pg_catalog as $$
    select convert_from(substr(sealed, 2, get_byte(sealed, 0)), 'UTF8')
$$;

-- How much there is under each key of the ring, of all workspaces.
create function ah5.ring_key_uses() returns table (what text, ring_key_id text, uses bigint)
language sql stable security definer set search_path = pg_catalog as $$
    select 'data key', k.ring_key_id, count(*) from ah5.t_workspace_keys k group by 2
    union all
    select 'data key before', k.previous_ring_key_id, count(*) from ah5.t_workspace_keys k
    where k.previous_ring_key_id is not null group by 2
    union all
    select 'signing key', ah5.ring_key_of(s.sealed_private), count(*) from ah5.t_signing_keys s
    where s.sealed_private is not null group by 2
    union all
    select 'waiting letter', ah5.ring_key_of(m.sealed), count(*) from ah5.t_mail_outbox m group by 2
    order by 1, 2
$$;

-- Workspaces with a data key under another key of the ring than this one, in the order of their ids.
create function ah5.workspaces_to_rewrap(current text, after uuid, most integer) returns setof uuid
language sql stable security definer set search_path = pg_catalog as $$
    select workspace_id from ah5.t_workspace_keys
    where workspace_id > after
      and (ring_key_id <> current or previous_ring_key_id <> current)
    order by workspace_id limit most
$$;
