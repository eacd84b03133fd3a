"""What there is: the nouns, as frozen structs, and the tables of their states.

Belongs here: names, shapes, ranks, ids. Does not: anything that decides, waits, reads a clock or talks to
a vendor. Imports nothing of ours; everybody may import it.
"""
