-- The scraper's tables.

create table scraper.scrapes (
    request_id  uuid primary key,
    team_id     text        not null,
    source      text        not null,                -- with its window: what two requests may share
    user_id     text,
    state       text        not null default 'running' check (state in ('running', 'done', 'failed', 'cancelled')),
    fence       bigint      not null default 1,
    given_back  int         not null default 0,      -- holders that let go in good order: a crash loop is the rest
    holder      text        not null,
    lease_until timestamptz not null,
    corpus_id   uuid,
    dataset_id  uuid,
    result      jsonb,                               -- the scrape.result, so that a redelivery repeats it
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now()
);

create index scrapes_sharing on scraper.scrapes (team_id, source);

create table scraper.corpora (
    corpus_id       uuid primary key,
    team_id         text        not null,
    source          text        not null,            -- 'api', 'export', 'text'
    prefix          text        not null,
    manifest_sha256 text        not null,
    message_count   bigint      not null,
    channel_count   int         not null,
    created_at      timestamptz not null default now()
);
create index corpora_of on scraper.corpora (team_id, created_at desc);

-- How far each channel of a running API scrape has got: a kill costs at most the page under way.
create table scraper.channel_cursors (
    request_id uuid        not null references scraper.scrapes on delete cascade,
    channel_id text        not null,
    fence      bigint      not null,
    page       int         not null default 0,
    latest_ts  text,                                 -- the next page's `latest`, exclusive
    done       boolean     not null default false,
    shards     jsonb       not null default '[]',    -- pages already in the bucket: key, sha256, message_count
    updated_at timestamptz not null default now(),
    primary key (request_id, channel_id)
);

create table scraper.datasets (
    dataset_id       uuid primary key,
    team_id          text        not null,
    user_id          text        not null,
    corpus_id        uuid        not null references scraper.corpora,
    source           text        not null,
    prefix           text        not null,
    manifest_sha256  text        not null,
    train_count      int         not null,
    validation_count int         not null,
    test_count       int         not null,
    created_at       timestamptz not null default now()
);
create index datasets_of on scraper.datasets (team_id, user_id, created_at desc);

-- One rate budget per workspace and Slack method, shared by all replicas.
create table scraper.budgets (
    team_id    text             not null,
    method     text             not null,
    next_at    timestamptz      not null default now(),   -- when the next call may go
    interval_s double precision not null,
    updated_at timestamptz      not null default now(),
    primary key (team_id, method)
);

grant select on scraper.corpora, scraper.datasets to gateway;
grant select on scraper.datasets to trainer;
