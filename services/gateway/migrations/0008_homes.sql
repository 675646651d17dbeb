-- The Home tab of people who opened it: what it shows now, so that it is built anew only when that changes.
create table gateway.homes (
    team_id   text        not null,
    user_id   text        not null,
    opened_at timestamptz not null default now(),
    looked_at timestamptz not null default '-infinity',  -- when somebody last compared it with how things stand
    shown     text        not null default '',           -- hash of what it shows
    view_hash text,                                      -- Slack's own: who publishes over another one is told
    primary key (team_id, user_id)
);
create index homes_due on gateway.homes (looked_at);
