-- What people do with an answer: have it made anew, say how good it is, or that it is not them.

alter table gateway.outbox
    add column replaces uuid,   -- the answer in whose messages this one is to stand; null again where it never will
    add column run_id   uuid;   -- the version of the persona that answered
create unique index outbox_replaces on gateway.outbox (replaces) where replaces is not null;
create index outbox_messages on gateway.outbox (channel, message_ts) where message_ts is not null;

-- One word per person and answer, the last one; ids only. A signal for later trainings.
create table gateway.feedback (
    team_id    text        not null,
    request_id uuid        not null,               -- the answer: one made anew is another one
    rated_by   text        not null,
    user_id    text,                               -- the persona; null: the bot itself
    run_id     uuid,
    channel    text        not null,
    message_ts text        not null,               -- where its words were, while Slack keeps them
    verdict    text        not null check (verdict in ('good', 'bad', 'not_me')),
    rated_at   timestamptz not null,
    primary key (request_id, rated_by)
);
create index feedback_of on gateway.feedback (team_id, user_id);
