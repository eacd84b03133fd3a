"""The store over PostgreSQL: many processes at once, statements over batches, rows locked in the order of their ids."""
