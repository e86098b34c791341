-- What each policy has let language models use: tokens, and millionths of a dollar. What a call may take
-- at most is reserved by the functions below before it is sent, and settled by what it did take; no two
-- replicas get the same of it.

create table ah5.t_budget_spans (
    workspace_id uuid not null,
    policy_id uuid not null,
    budget text not null
        check (budget in ('tokens_hour', 'tokens_day', 'cost_day', 'cost_month')),
    -- When it begins: a minute of an hour's budget, an hour of a day's, a day of a month's.
    span timestamptz not null,
    used bigint not null check (used >= 0),
    primary key (policy_id, budget, span),
    foreign key (workspace_id, policy_id)
        references ah5.t_policies (workspace_id, id) on delete cascade
);
create index on ah5.t_budget_spans (span);

alter table ah5.t_budget_spans enable row level security;
alter table ah5.t_budget_spans force row level security;
create policy tenant on ah5.t_budget_spans to ah5_control
    using (workspace_id = nullif(current_setting('ah5.workspace', true), '')::uuid);
create policy owner on ah5.t_budget_spans to current_user using (true) with check (true);

-- How long the spans of a budget are, and how long one counts: its own length over the hour, day or
-- month, so that nothing stops counting too early.
create function ah5.budget_span(budget text, out unit text, out window_ interval)
language sql immutable set search_path = pg_catalog as $$
    select case budget when 'tokens_hour' then 'minute' when 'cost_month' then 'day' else 'hour' end,
           case budget when 'tokens_hour' then interval '61 minutes'
                       when 'cost_month' then interval '31 days' else interval '25 hours' end
$$;

-- One caller at a time for each policy, which all take in the same order.
create function ah5.lock_budgets(policies uuid[]) returns void
language sql set search_path = pg_catalog as $$
    select pg_advisory_xact_lock(611018, hashtext(one::text))
    from (select distinct unnest(policies) as one order by 1) as sorted
$$;

-- Reserves these amounts, all of them or none: the i-th of the i-th policy's i-th budget, which has room
-- for the i-th limit. `at` is 0, or says which budget has too little left; `seconds` then is when its
-- oldest span falls out. `taken` is what `settle_budgets` must be told.
create function ah5.reserve_budgets(
    workspace uuid, policies uuid[], budgets text[], limits bigint[], amounts bigint[])
returns table (at integer, seconds integer, taken timestamptz)
-- Nobody waits long for whoever changes a policy, and holds up others meanwhile.
language plpgsql security definer set search_path = pg_catalog set lock_timeout = '500ms' as $$
declare
    moment timestamptz;
    oldest timestamptz;
    sum_used numeric;
    spans record;
begin
    perform ah5.lock_budgets(policies);
    moment := clock_timestamp();
    for i in 1 .. array_length(policies, 1) loop
        select * into spans from ah5.budget_span(budgets[i]);
        select coalesce(sum(s.used), 0), min(s.span) into sum_used, oldest
        from ah5.t_budget_spans as s
        where s.policy_id = policies[i] and s.budget = budgets[i] and s.used > 0
          and s.span > moment - spans.window_;
        if sum_used + amounts[i] > limits[i] then
            return query select i, greatest(1, ceil(extract(epoch from
                coalesce(oldest, moment) + spans.window_ - moment))::integer), moment;
            return;
        end if;
    end loop;
    insert into ah5.t_budget_spans as s (workspace_id, policy_id, budget, span, used)
    select workspace, w.policy, w.budget,
           date_trunc((ah5.budget_span(w.budget)).unit, moment, 'UTC'), w.amount
    from unnest(policies, budgets, amounts) as w (policy, budget, amount)
    on conflict on constraint t_budget_spans_pkey do update set used = s.used + excluded.used;
    return query select 0, 0, moment;
end $$;

-- Puts what was used in place of what was reserved.
create function ah5.settle_budgets(
    policies uuid[], budgets text[], taken timestamptz, reserved bigint[], spent bigint[])
returns void
language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s' as $$
begin
    perform ah5.lock_budgets(policies);
    update ah5.t_budget_spans as s set used = greatest(s.used - w.reserved + w.spent, 0)
    from unnest(policies, budgets, reserved, spent) as w (policy, budget, reserved, spent)
    where s.policy_id = w.policy and s.budget = w.budget
      and s.span = date_trunc((ah5.budget_span(w.budget)).unit, taken, 'UTC');
end $$;

create or replace function ah5.prune_quotas() returns void
language sql security definer set search_path = pg_catalog as $$
    delete from ah5.t_quota_minutes where minute < now() - interval '2 hours';
    delete from ah5.t_budget_spans
    where span < now() - 2 * (ah5.budget_span(budget)).window_;
$$;
