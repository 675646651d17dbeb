-- The gateway's tables. Schema `gateway` names their only writer; others read what is granted below.

create table gateway.installations (
    team_id       text primary key,
    enterprise_id text,
    team_name     text        not null default '',
    api_app_id    text        not null,
    bot_user_id   text        not null,
    bot_id        text        not null default '',
    bot_token     bytea       not null,              -- MultiFernet of {"team_id", "token"}
    state         text        not null default 'active' check (state in ('active', 'dead')),
    updated_at    timestamptz not null default now()
);

create table gateway.personas (
    team_id    text        not null,
    user_id    text        not null,
    name       text        not null default '',
    updated_at timestamptz not null default now(),
    primary key (team_id, user_id)
);

-- The ledger: append-only, the newest row counts.
create table gateway.consents (
    consent_id  bigint generated always as identity primary key,
    team_id     text        not null,
    user_id     text        not null,
    granted     boolean     not null,
    recorded_by text        not null,                -- 'person' or 'operator'
    reason      text        not null default '',
    source_key  text        not null unique,         -- the button's trigger or the operator's request: once each
    recorded_at timestamptz not null default now()
);
create index consents_of on gateway.consents (team_id, user_id, consent_id desc);

create view gateway.consents_now as
    select distinct on (team_id, user_id) team_id, user_id, granted, recorded_by, recorded_at
    from gateway.consents
    order by team_id, user_id, consent_id desc;

create table gateway.active_adapters (
    team_id         text        not null,
    user_id         text        not null,
    run_id          uuid        not null,
    prefix          text        not null,
    manifest_sha256 text        not null,
    base_model      text        not null default '',
    requested_at    timestamptz not null,            -- of the run: a result activates only if newer
    activated_at    timestamptz not null default now(),
    primary key (team_id, user_id)
);

create table gateway.inbox (
    app_id      text        not null,
    event_id    text        not null,
    received_at timestamptz not null default now(),
    primary key (app_id, event_id)
);

-- Every visible effect has one row: a reply's part, a progress message, a question, a sentence.
create table gateway.outbox (
    api_app_id    text        not null,
    team_id       text        not null,
    channel       text        not null,
    trigger       text        not null,              -- message ts · trigger_id · <ts>#<trigger_id> · consent:<id> · run:<id> · persona:<id>
    part          int         not null default 0,
    kind          text        not null default 'reply' check (kind in ('reply', 'notice', 'progress', 'question')),
    request_id    uuid        not null,
    user_id       text,                              -- the persona that answers, if one does
    asked_by      text,
    thread_ts     text,
    trigger_ts    text,                              -- from where on our own metadata is looked for
    question      jsonb,                             -- the generate.request to be sent; null once it is out or where none is needed
    asked_at      timestamptz,                       -- when the question went to the engine
    deadline_at   timestamptz,
    note          text,                              -- said before the answer: how late it comes
    body          jsonb,                             -- what to post; null until known, and again once sent
    state         text        not null default 'pending' check (state in ('pending', 'sending', 'sent', 'failed')),
    attempt       int         not null default 0,
    fence         bigint      not null default 0,
    next_at       timestamptz not null default now(),
    claimed_until timestamptz,
    sending_at    timestamptz,
    message_ts    text,
    repair_at     timestamptz,                       -- when to look once more for a second post of ours
    created_at    timestamptz not null default now(),
    primary key (api_app_id, channel, trigger, part),
    unique (request_id, part)
);
create index outbox_due on gateway.outbox (next_at) where state in ('pending', 'sending');
create index outbox_repair on gateway.outbox (repair_at) where repair_at is not null;
create index outbox_unasked on gateway.outbox (created_at) where question is not null and state = 'pending';
create index outbox_waiting on gateway.outbox (deadline_at) where state = 'pending' and body is null;

-- A training that somebody asked for: waits for the person's yes, then for scraper and trainer.
create table gateway.trainings (
    request_id   uuid primary key,                   -- of the scrape.request and the train.request
    team_id      text        not null,
    user_id      text        not null,
    run_id       uuid        not null unique,
    asked_by     text        not null,
    api_app_id   text        not null default '',
    channel      text        not null default '',    -- where its progress message lives; empty: nowhere (operator)
    state        text        not null default 'asking' check (state in ('asking', 'scraping', 'training', 'done')),
    requested_at timestamptz not null default now(),
    shown        int         not null default 0,     -- the stage its progress message tells of: it never goes back
    outcome      jsonb,                              -- what its progress message says in the end
    updated_at   timestamptz not null default now()
);
create index trainings_of on gateway.trainings (team_id, user_id, requested_at desc);

grant select on gateway.installations, gateway.consents_now to scraper;
grant select on gateway.consents_now, gateway.active_adapters to trainer;
grant select on gateway.active_adapters to inference;
revoke select on gateway.installations from reader;
revoke update, delete on gateway.consents from gateway;  -- the ledger only grows
