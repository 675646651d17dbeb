-- Installed by OAuth: many workspaces, whole organisations, tokens that are renewed. And how long nobody listened.

alter table gateway.installations
    add column installed_at   timestamptz not null default now(),  -- news of a token's death that is older is stale
    add column org_wide       boolean     not null default false,  -- the token is the organisation's, whose own row has its id as team_id
    add column bot_scopes     text        not null default '',
    add column refresh_token  bytea,                               -- MultiFernet of {"team_id", "token"}; null: the token does not expire
    add column expires_at     timestamptz,
    add column generation     bigint      not null default 0,      -- +1 with each new token: who renewed an older one writes nothing
    add column renewing_until timestamptz,                         -- the lock: one replica renews, since a refresh token is good once
    add column dead_reason    text        not null default '';
create index installations_of_org on gateway.installations (enterprise_id) where org_wide;

-- An installation under way. The state travels in the address, the browser's secret in a cookie: hashes of both.
create table gateway.oauth_states (
    state_sha256   bytea       primary key,
    browser_sha256 bytea       not null,
    expires_at     timestamptz not null
);

-- When somebody last listened to Slack: one row. A hole in it is an outage.
create table gateway.listening (
    only_one boolean     primary key default true check (only_one),
    heard_at timestamptz not null
);

-- Workspaces whose channels are to be read for what was said while nobody listened.
create table gateway.catch_ups (
    team_id       text        primary key,
    since         timestamptz not null,
    fence         bigint      not null default 0,
    claimed_until timestamptz not null default now(),
    wanted_at     timestamptz not null default now()
);
