-- A dataset knows what it says and shows its numbers, so that nobody has to open its files for them.

alter table scraper.datasets add column content_sha256 text;             -- null: cut before this column was
alter table scraper.datasets add column summary jsonb not null default '{}';   -- proto.dataset.DatasetSummary
