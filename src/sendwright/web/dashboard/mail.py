"""A mail as its reader sees it, in a frame of its own. A page sends here what it has to show, and gets it back under a policy by
which nothing in it runs, loads or leads anywhere: so it is never a part of a page of ours, whose own policy allows it no style.
"""

from __future__ import annotations

from sendwright.web.dashboard.visit import Mail, Visit


async def show_mail(visit: Visit) -> Mail:
    return Mail(visit.text("html"))
