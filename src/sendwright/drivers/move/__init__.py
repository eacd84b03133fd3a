"""Moving house: everything of a SQLite file to PostgreSQL and a broker (docs/adr/0024). Used by app/moving.py alone."""
