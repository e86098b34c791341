-- How many calls each policy has let through, by the minute of this clock. The data plane counts by
-- the functions below, before a call is sent; no two replicas get the same unit.

create table ah5.t_quota_minutes (
    workspace_id uuid not null,
    policy_id uuid not null,
    minute timestamptz not null,
    used bigint not null check (used >= 0),
    primary key (policy_id, minute),
    foreign key (workspace_id, policy_id)
        references ah5.t_policies (workspace_id, id) on delete cascade
);
create index on ah5.t_quota_minutes (minute);

alter table ah5.t_quota_minutes enable row level security;
alter table ah5.t_quota_minutes force row level security;
create policy tenant on ah5.t_quota_minutes to ah5_control
    using (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid);
create policy owner on ah5.t_quota_minutes to current_user using (true) with check (true);

-- Takes units from the hour of each of these policies, of all of them or of none. The hour is 62
-- minutes of buckets: those of this minute and of the 60 before it, and one more for units that are
-- used up to half a minute after they were taken. At least `fewest` units are given; beyond them as many
-- as are wanted, but not above a hundredth of what is left. `granted` is 0 where a policy has too little
-- left: `at` says which, and `seconds` when its oldest bucket falls out.
create function ah5.lease_quota(
    workspace uuid, policies uuid[], hours bigint[], fewest integer, wanted integer)
returns table (granted integer, minute timestamptz, at integer, seconds integer)
-- Nobody waits long for whoever changes a policy, and holds up others meanwhile.
language plpgsql security definer set search_path = pg_catalog set lock_timeout = '500ms' as $$
declare
    this_minute timestamptz;
    oldest timestamptz;
    taken bigint;
    spare bigint;
    least_spare bigint;
    units integer;
begin
    -- One caller at a time for each policy, which all take in the same order.
    perform pg_advisory_xact_lock(611017, hashtext(one::text))
    from (select distinct unnest(policies) as one order by 1) as sorted;
    this_minute := date_trunc('minute', clock_timestamp());
    for i in 1 .. array_length(policies, 1) loop
        select coalesce(sum(m.used), 0), min(m.minute) into taken, oldest
        from ah5.t_quota_minutes as m
        where m.policy_id = policies[i] and m.used > 0
          and m.minute > this_minute - interval '62 minutes';
        spare := hours[i] - taken;
        if spare < fewest then
            return query select 0, this_minute, i, greatest(1, ceil(extract(epoch from
                coalesce(oldest, this_minute) + interval '62 minutes' - clock_timestamp()))::integer);
            return;
        end if;
        least_spare := least(least_spare, spare);
    end loop;
    units := least(wanted, greatest(fewest, least_spare / 100));
    insert into ah5.t_quota_minutes as m (workspace_id, policy_id, minute, used)
    select workspace, one, this_minute, units
    from (select distinct unnest(policies) as one order by 1) as sorted
    on conflict on constraint t_quota_minutes_pkey do update set used = m.used + excluded.used;
    return query select units, this_minute, 0, 0;
end $$;

-- Gives back what was taken for a call of which no byte has left.
create function ah5.return_quota(policies uuid[], taken_at timestamptz, units integer) returns void
language sql security definer set search_path = pg_catalog as $$
    update ah5.t_quota_minutes set used = greatest(used - units, 0)
    where policy_id = any (policies) and minute = taken_at
$$;

create function ah5.prune_quotas() returns void
language sql security definer set search_path = pg_catalog as $$
    delete from ah5.t_quota_minutes where minute < now() - interval '2 hours'
$$;
