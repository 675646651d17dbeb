-- One row per answer of Slack that lies in the bucket: a kill costs at most the requests under way.
-- `root_ts` is '' for the channel's own history, else the root of the thread that was asked for.
create table scraper.pages (
    request_id    uuid        not null references scraper.scrapes on delete cascade,
    channel_id    text        not null,
    root_ts       text        not null,
    page          int         not null,
    fence         bigint      not null,
    next_ts       text,                              -- history: the next page's exclusive latest; thread: its exclusive oldest
    is_last       boolean     not null,
    is_gone       boolean     not null default false, -- the thread is no more
    message_count int         not null default 0,
    threads       jsonb       not null default '[]', -- roots seen: [ts, latest reply, number of replies]
    object_key    text,                              -- several pages may share an object
    sha256        text,
    created_at    timestamptz not null default now(),
    primary key (request_id, channel_id, root_ts, page)
);
