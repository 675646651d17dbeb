-- Forgetting somebody: one row from the word to the last round. Whoever dies meanwhile finds it here.

create table gateway.purges (
    purge_id     uuid        primary key,            -- of the button, command or request that asked for it
    team_id      text        not null,
    user_id      text        not null,
    reason       text        not null check (reason in ('forget', 'withdrawn')),
    requested_at timestamptz not null default now(), -- what begins later, after another yes, stays
    round        int         not null default 0,     -- rounds that went out
    answers      jsonb       not null default '{}',  -- service → its newest persona.purged
    next_at      timestamptz not null default now(),
    done_at      timestamptz
);
create index purges_due on gateway.purges (next_at) where done_at is null;
create index purges_of on gateway.purges (team_id, user_id, requested_at desc);

-- Whose words are in no corpus: forgotten, and no yes since.
create view gateway.forgotten as
    select team_id, user_id, max(p.requested_at) as forgotten_at
    from gateway.purges p
    join gateway.consents_now c using (team_id, user_id)
    where not c.granted
    group by team_id, user_id;

grant select on gateway.forgotten to scraper;

-- Does a purge take what is from that instant? All of it; but once they have said yes again, only what is older.
create function gateway.goes(team text, person text, at timestamptz, asked_at timestamptz) returns boolean
    language sql stable
    return at <= asked_at or not exists (
        select from gateway.consents_now n where n.team_id = team and n.user_id = person and n.granted);
