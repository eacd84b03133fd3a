"""Who is signed in, and how they are signed out."""

from __future__ import annotations

from sendwright.policy.duration import rfc3339
from sendwright.web.api import problems
from sendwright.web.dashboard.visit import Away, Shown, Visit, place


async def list_sessions(visit: Visit) -> Shown:
    rows = [
        {
            "id": session.id,
            "own": session.id == visit.by.session.id,
            "way": session.way,
            "made_at": rfc3339(session.made_at),
            "seen_at": rfc3339(session.seen_at),
            "until": rfc3339(session.until),
        }
        for session in await visit.services.sessions.all_of(visit.tenant)
    ]
    return Shown("sessions.html", {"rows": rows})


async def end_session(visit: Visit) -> Away:
    """One's own, or with an admin's key anybody's of the same tenant."""
    wanted, own = visit.params["id"], visit.by.session
    if wanted != own.id:
        visit.by.caller.require("admin")
    if not await visit.services.sessions.end(own.tenant if wanted == own.id else visit.tenant, wanted):
        raise problems.not_found()
    return Away(place("/dashboard/sessions", note="ended"))


async def end_all(visit: Visit) -> Away:
    """Everybody's of the tenant, this one included where it is one of them."""
    await visit.services.sessions.end(visit.tenant)
    return Away(
        "/dashboard/sign-in" if visit.by.acts in (None, visit.by.session.tenant) else place("/dashboard/sessions", note="ended")
    )


async def sign_out(visit: Visit) -> Away:
    await visit.services.sessions.end(visit.by.session.tenant, visit.by.session.id)
    return Away("/dashboard/sign-in")
