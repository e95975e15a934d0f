"""`make capture`: programs are run and scraped, and their metrics written into the catalogue."""
