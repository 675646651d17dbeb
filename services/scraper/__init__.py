"""The scraper: reads a workspace's history into a corpus and cuts one person's samples out of it."""
