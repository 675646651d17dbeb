-- An answer that is shown while it is written. The message stands there before the answer is known.

alter table gateway.outbox
    add column stream      text check (stream in ('starting', 'live')),  -- null: there is no message yet
    add column stream_ts   text,           -- of that message, as soon as Slack has told it
    add column stream_name text,           -- under whose name it stands; empty: the bot's own
    add column stream_at   timestamptz;    -- since when
create unique index outbox_stream_ts on gateway.outbox (channel, stream_ts) where stream_ts is not null;
create index outbox_streams on gateway.outbox (team_id, stream_at) where stream_at is not null;
