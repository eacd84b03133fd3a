"""`python -m sendwright` is the command `sendwright`."""

from sendwright.cli import main

main()
