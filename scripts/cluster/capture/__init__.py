"""Real programs, run and scraped: `make capture` writes what they expose into the catalogue."""
