-- A corpus knows what it says, so that the same history read twice is stored once; a scrape knows when its history was read.

alter table scraper.corpora add column content_sha256 text;        -- null: stored before this column was
alter table scraper.scrapes add column read_at timestamptz;        -- when its corpus was read or found unchanged
