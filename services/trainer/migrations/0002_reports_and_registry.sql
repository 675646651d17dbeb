-- What a run was judged by, what it came from, and when garbage collection took its weights.

alter table trainer.runs add column report_prefix text;
alter table trainer.runs add column report_manifest_sha256 text;
alter table trainer.runs add column dataset_sha256 text;                  -- of the dataset's manifest
alter table trainer.runs add column base_model_sha256 text;
alter table trainer.runs add column code_version text not null default '';
alter table trainer.runs add column collected_at timestamptz;             -- from here on the version can't be activated

-- A collected version is no adapter any more; its run, its report and its lineage stay.
create or replace view trainer.adapters as
    select run_id, team_id, user_id, adapter_prefix as prefix, manifest_sha256, base_model, lora_rank,
           requested_at, ended_at as published_at
    from trainer.runs
    where state = 'published' and collected_at is null;
