"""The store over SQLite: one writer, readers beside it, statements in named files."""
