-- The trainer's tables.

create table trainer.runs (
    run_id          uuid primary key,
    request_id      uuid        not null,
    team_id         text        not null,
    user_id         text        not null,
    dataset_id      uuid        not null,
    state           text        not null default 'running'
                    check (state in ('running', 'published', 'rejected', 'failed', 'cancelled')),
    fence           bigint      not null default 1,
    holder          text        not null,
    lease_until     timestamptz not null,
    handed_over     int         not null default 0,  -- fences that ended in order; the others were crashes
    plan            jsonb,
    requested_at    timestamptz not null,
    adapter_prefix  text,
    manifest_sha256 text,
    base_model      text        not null default '',
    lora_rank       int,
    step_count      int,
    sample_count    int,
    base_test_loss  double precision,
    test_loss       double precision,
    train_s         double precision,
    error           jsonb,
    result          jsonb,                           -- the train.result, so that a redelivery repeats it
    created_at      timestamptz not null default now(),
    ended_at        timestamptz,
    check (state <> 'published' or (adapter_prefix is not null and manifest_sha256 is not null))
);
create unique index one_running_run on trainer.runs (team_id, user_id) where state = 'running';
create index runs_of on trainer.runs (team_id, user_id, requested_at desc);

create table trainer.run_checkpoints (
    run_id          uuid        not null references trainer.runs on delete cascade,
    fence           bigint      not null,
    step            int         not null,
    prefix          text        not null,
    manifest_sha256 text        not null,
    created_at      timestamptz not null default now(),
    primary key (run_id, fence, step)
);

create view trainer.adapters as
    select run_id, team_id, user_id, adapter_prefix as prefix, manifest_sha256, base_model, lora_rank,
           requested_at, ended_at as published_at
    from trainer.runs
    where state = 'published';

grant select on trainer.adapters to inference, gateway;
grant select on trainer.runs to gateway;
