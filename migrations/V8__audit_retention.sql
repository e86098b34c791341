-- How the audit log is read in its order, and how it ages: months are dropped whole, and what each
-- chain hangs on afterwards is kept.

-- Through a security barrier an ordered read sorts all of a workspace's rows instead of following the
-- index. A barrier guards against functions in a stranger's query; only our own statements run here.
alter view ah5.v_audit_events reset (security_barrier);

-- The last link of each chain among the rows that were dropped. Rows are numbered as they are
-- written and dropped by when they began, so a few that remain may have lower numbers: those have
-- no predecessor either. `checkpoint` is the signed statement that covers the link, where there is one.
create table ah5.t_audit_roots (
    workspace_id uuid not null,
    spool_id uuid not null,
    seq bigint not null,
    hash bytea not null,
    checkpoint bytea,
    dropped_before timestamptz not null,
    primary key (workspace_id, spool_id)
);
alter table ah5.t_audit_roots enable row level security;
alter table ah5.t_audit_roots force row level security;
create policy tenant on ah5.t_audit_roots to ah5_control
    using (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid)
    with check (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid);
create policy owner on ah5.t_audit_roots to current_user using (true) with check (true);

-- Drops what is older than so many whole months before this one: at most one partition a call, the
-- oldest. Returns its name; null if there is none or another process is at it.
create function ah5.drop_audit_partition(keep_months integer) returns text
language plpgsql security definer set search_path = pg_catalog set lock_timeout = '2s' as $$
declare
    cutoff timestamptz := (date_trunc('month', now() at time zone 'UTC')
                           - make_interval(months => keep_months)) at time zone 'UTC';
    part name;
begin
    if keep_months is null or keep_months < 1 then
        raise exception 'at least one month must be kept, not %', keep_months;
    end if;
    if not pg_try_advisory_xact_lock(hashtext('ah5.drop_audit_partition')) then
        return null;
    end if;
    select c.relname into part
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'ah5.l_audit_events'::regclass
      and c.relname ~ '^l_audit_events_[0-9]{6}$'
      and to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' <= cutoff at time zone 'UTC'
    order by c.relname limit 1;
    if part is null then
        if not exists (select from ah5.l_audit_events_default where ts < cutoff) then
            return null;
        end if;
        part := 'l_audit_events_default';
    end if;
    -- A row that came in between would be lost to the roots.
    execute format('lock table ah5.%I in share mode', part);
    execute format(
        'insert into ah5.t_audit_roots as r (workspace_id, spool_id, seq, hash, dropped_before)
         select distinct on (workspace_id, spool_id) workspace_id, spool_id, seq, hash, $1
         from ah5.%I where ts < $1 order by workspace_id, spool_id, seq desc
         on conflict (workspace_id, spool_id) do update
             set seq = excluded.seq, hash = excluded.hash, checkpoint = null,
                 dropped_before = excluded.dropped_before
             where r.seq < excluded.seq', part) using cutoff;
    if part = 'l_audit_events_default' then
        delete from ah5.l_audit_events_default where ts < cutoff;
    else
        execute format('drop table ah5.%I', part);
    end if;
    return part;
end $$;

-- As before, but a month whose first rows went to the default partition (a writer's clock ran ahead,
-- or no control plane ran for months) takes them over instead of failing for ever.
create or replace function ah5.ensure_audit_partitions() returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare
    first date;
    part text;
    low timestamptz;
    high timestamptz;
begin
    perform pg_advisory_xact_lock(hashtext('ah5.ensure_audit_partitions'));
    for i in 0..3 loop
        first := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => i))::date;
        part := 'l_audit_events_' || to_char(first, 'YYYYMM');
        low := first::timestamp at time zone 'UTC';
        high := (first + interval '1 month') at time zone 'UTC';
        continue when to_regclass('ah5.' || part) is not null;
        lock table ah5.l_audit_events_default in access exclusive mode;
        execute format('create table ah5.%I (like ah5.l_audit_events including constraints)', part);
        execute format(
            'with moved as (delete from ah5.l_audit_events_default
                            where ts >= $1 and ts < $2 returning *)
             insert into ah5.%I select * from moved', part) using low, high;
        execute format(
            'alter table ah5.l_audit_events attach partition ah5.%I for values from (%L) to (%L)',
            part, low, high);
    end loop;
end $$;
