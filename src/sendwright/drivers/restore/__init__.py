"""What a restored store waits with is held in doubt before anybody may send it: over a file, over a database."""
