-- When the next look for leftovers in the bucket is due: one replica takes it.

create table scraper.collections (
    only_one boolean primary key default true check (only_one),
    next_at  timestamptz not null
);
