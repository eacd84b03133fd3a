"""What to decide: pure functions of (facts, now, rng).

No clock, no I/O, no chance of its own: time and random numbers are arguments. That is why the whole engine runs under
a virtual clock, and why every rule here is tested as a table.
"""
