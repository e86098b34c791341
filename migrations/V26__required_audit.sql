-- Calls that are made only once they are on record, and what is left of an hour.

alter table ah5.t_policies
    -- Whether a call is recorded before it is sent, and not sent where that fails.
    add column audit text not null default 'best_effort' check (audit in ('best_effort', 'required'));

-- As before, and with what is left after: `rest` is that of the policy with the least, `at` says which,
-- and `seconds` when its oldest bucket falls out. Callers of before find their columns as they were.
drop function ah5.lease_quota(uuid, uuid[], bigint[], integer, integer);
create function ah5.lease_quota(
    workspace uuid, policies uuid[], hours bigint[], fewest integer, wanted integer)
returns table (granted integer, minute timestamptz, at integer, seconds integer, rest bigint)
-- Nobody waits long for whoever changes a policy, and holds up others meanwhile.
language plpgsql security definer set search_path = pg_catalog set lock_timeout = '500ms' as $$
declare
    this_minute timestamptz;
    oldest timestamptz;
    taken bigint;
    spare bigint;
    least_spare bigint;
    least_at integer;
    comes_back integer;
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
        if spare < fewest or least_spare is null or spare < least_spare then
            least_spare := spare;
            least_at := i;
            comes_back := greatest(1, ceil(extract(epoch from
                coalesce(oldest, this_minute) + interval '62 minutes' - clock_timestamp()))::integer);
        end if;
        if spare < fewest then
            return query select 0, this_minute, least_at, comes_back, greatest(spare, 0);
            return;
        end if;
    end loop;
    units := least(wanted, greatest(fewest, least_spare / 100));
    insert into ah5.t_quota_minutes as m (workspace_id, policy_id, minute, used)
    select workspace, one, this_minute, units
    from (select distinct unnest(policies) as one order by 1) as sorted
    on conflict on constraint t_quota_minutes_pkey do update set used = m.used + excluded.used;
    return query select units, this_minute, least_at, comes_back, least_spare - units;
end $$;
