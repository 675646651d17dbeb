-- Reports in Slack; who answers where; what a workspace allows itself.

alter table gateway.outbox drop constraint outbox_kind_check;
alter table gateway.outbox add constraint outbox_kind_check
    check (kind in ('reply', 'notice', 'progress', 'question', 'report'));
-- Where an answer that one person alone sees goes: a bearer secret, sealed like a token; null once it is out.
alter table gateway.outbox add column response_url text;
create index outbox_asked on gateway.outbox (team_id, asked_at) where asked_at is not null;

alter table gateway.trainings add column started_at timestamptz;      -- since when it counts among the day's runs
alter table gateway.trainings add column cancelled boolean not null default false;  -- a run that goes on is told again

-- Who answers in a workspace (channel '') or in one channel of it; no user: the bot itself.
create table gateway.voices (
    team_id text        not null,
    channel text        not null default '',
    user_id text,
    set_by  text        not null,
    set_at  timestamptz not null default now(),
    primary key (team_id, channel)
);

-- What an admin of the workspace has decided; what is null is the deployment's default.
create table gateway.rules (
    team_id            text primary key,
    who_may_train      text check (who_may_train in ('members', 'self', 'admins')),
    guests_may_ask     boolean,
    personas           int check (personas > 0),
    runs_a_day         int check (runs_a_day > 0),
    replies_a_minute   int check (replies_a_minute > 0),
    updated_by         text        not null,
    updated_at         timestamptz not null default now()
);
