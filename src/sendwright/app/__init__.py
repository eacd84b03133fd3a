"""The composition root: the only room that sees everything. It puts the parts together, and takes them apart in order."""
