"""What happens: the five stories (accept, plan, deliver, settle, observe), `schedule`, `repair`, and what they stand on.

Stories read linearly; batching lives inside the ports, decisions inside `policy`, vendors inside `providers`. What the
engine needs of the world is declared in `ports.py`. It never imports a driver or a provider.
"""
