-- Personas that answer one another in a thread. Each answer is an outbox row, debate:<debate_id>:<turn>.

create table gateway.debates (
    debate_id  uuid        primary key,             -- of the message that opens it, too
    api_app_id text        not null,
    team_id    text        not null,
    channel    text        not null,
    asked_by   text        not null,
    speakers   text[]      not null,                -- they take turns in this order
    topic      text,                                -- null once it is over: the message in Slack has it
    turns      int         not null check (turns > 0),
    turn       int         not null default 0,      -- whose turn it is; it never goes back
    root_ts    text,                                -- of the message that opens the thread, once it is out
    state      text        not null default 'running' check (state in ('running', 'ended')),
    ended_by   text,                                -- the event or press that stopped it: delivered again it is the same
    next_at    timestamptz not null default now(),  -- when somebody looks after it
    created_at timestamptz not null default now()
);
create unique index debates_one_per_channel on gateway.debates (team_id, channel) where state = 'running';
create index debates_running on gateway.debates (next_at) where state = 'running';
create index debates_threads on gateway.debates (team_id, channel, root_ts);
