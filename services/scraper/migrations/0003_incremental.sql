-- What a reading through the API starts from, decided once, so that every holder of it decides alike.
create table scraper.readings (
    request_id uuid        primary key references scraper.scrapes on delete cascade,
    baseline   uuid        references scraper.corpora on delete set null,
    since_ts   text,                                 -- read again from here on; null: everything
    created_at timestamptz not null default now()
);

-- What a reading of a whole workspace leaves for the next one; the object lies beside the corpus.
create table scraper.api_states (
    corpus_id  uuid        primary key,
    object_key text        not null,
    sha256     text        not null,
    created_at timestamptz not null default now()
);
