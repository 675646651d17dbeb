-- A wish to stop outlives the message that said it: a run that nobody holds, or whose holder did not hear it, ends too.
create table trainer.cancels (
    run_id   uuid        primary key,
    asked_at timestamptz not null default now()
);

-- Holders that were lost before the run last got further. Only the later ones say that it does not.
alter table trainer.runs add column lost_before int not null default 0;
