"""The virtual-time simulator: the real engine of several processes in a world that is played, one thread, one seed.

  loop.py      time that jumps, and tasks that belong to a life: stop a life and none of its tasks ever runs again
  draw.py      everything that chance decides: which faults a seed has, and every draw, from the seed alone
  weather.py   when what goes wrong, as windows of time and as a fate for each call
  store.py     the store in memory behind a link that loses requests, answers and itself
  bus.py       a broker that delivers again, twice and out of order, and loses confirms
  vendors.py   the providers: they take or refuse, answer or don't, report or don't, and remember what they took
  process.py   one process: the engine put together as the application does it, its clock, its death and its pauses
  callers.py   who posts, cancels, switches and decides by hand
  receipts.py  what they report, and when
  points.py    the engine's crash points, bent
  doze.py      polling that costs nothing while there is nothing to see
  oracle.py    the invariants, at every commit and every request; rest.py has those at rest
  story.py     the trace, and what occurred
  world.py     all of it together, from a seed to a verdict
  model.py     apart from all this: the protocol of claim, lease and doubt alone, searched exhaustively

May import everything of the product; nothing of the product may import this. See docs/simulation.md.
"""
