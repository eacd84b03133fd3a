"""The pipelines that a team would build instead. See README.md."""
