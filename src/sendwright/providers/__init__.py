"""What vendors speak: wire formats, one pure file each.

A file here may not open a connection, read a clock, draw a random number or import another provider; it gets
everything by argument. `contract.py` says what each must offer; `registry.py` finds them.
"""
