-- What an operator chose to be active. One row per request: a redelivered rollback doesn't go back once more.

create table gateway.adapter_choices (
    request_id uuid primary key,
    team_id    text        not null,
    user_id    text        not null,
    action     text        not null check (action in ('activate', 'rollback')),
    run_id     uuid        not null,
    chosen_at  timestamptz not null default now()
);
create index adapter_choices_of on gateway.adapter_choices (team_id, user_id, chosen_at desc);
