-- Forgetting somebody: whose words are in a dataset, and whose were taken out of a corpus.

alter table scraper.datasets add column people text[];                    -- authors of its contexts; null: cut before this column was
alter table scraper.corpora add column without text[] not null default '{}';  -- people whose messages were taken out of it
