-- The scraper leaves a dataset in place while a run learns from it: the next round of a purge takes it.
grant select on trainer.runs to scraper;
