"""Mistakes about the dashboard: who is let in, whose forms count, and what of others' words a page lets through."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

ENTRY = "unit/test_dashboard_entry.py::test_"
PAGES = "unit/test_dashboard_pages.py::test_"
STATS = "unit/test_stats.py::test_"
ROOM = "web/dashboard/"


def _planted(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, [Edit(file, old, new)], tests)


MUTANTS = [
    _planted(
        "dashboard: a form needs no token",
        ROOM + "app.py",
        'if page.method == "POST" and not hmac.compare_digest(',
        'if page.method == "PUT" and not hmac.compare_digest(',
        ENTRY + "a_form_without_its_token_changes_nothing",
        ENTRY + "the_token_of_another_session_is_none",
    ),
    _planted(
        "dashboard: a form may come from anywhere",
        ROOM + "app.py",
        '        if scope["method"] == "POST":\n            require_own(headers, place)\n        by = ',
        "        by = ",
        ENTRY + "a_form_of_another_place_changes_nothing_though_it_knows_the_token",
    ),
    _planted(
        "dashboard: somebody is signed in by a form of another place",
        ROOM + "app.py",
        "            require_own(headers, place)\n            form = ",
        "            form = ",
        ENTRY + "nobody_is_signed_in_by_a_form_of_another_place",
    ),
    _planted(
        "dashboard: a link works twice",
        ROOM + "signing_in.py",
        "link = await self._services.sessions.take(_id_of(secret))",
        "link = await self._services.sessions.find(_id_of(secret))",
        ENTRY + "a_link_shows_a_button_and_only_the_button_uses_it_up",
    ),
    _planted(
        "dashboard: a session outlives its key",
        ROOM + "signing_in.py",
        "        except (Refusal, UnicodeDecodeError):\n            return None\n",
        '        except (Refusal, UnicodeDecodeError):\n            return Caller(session.tenant, frozenset({"read"}))\n',
        ENTRY + "a_session_is_over_with_its_key",
        ENTRY + "a_session_is_over_when_the_admin_key_is_another",
    ),
    _planted(
        "dashboard: a page that is left open counts as use",
        ROOM + "app.py",
        "uses=page is None or not page.live",
        "uses=True",
        ENTRY + "a_page_that_is_left_open_does_not_keep_a_session_alive",
    ),
    _planted(
        "dashboard: what others wrote is a part of the page",
        ROOM + "rendering.py",
        "autoescape=True",
        "autoescape=False",
        PAGES + "every_page_shows_itself_empty_and_full",
    ),
    _planted(
        "dashboard: a key does what its scopes forbid",
        ROOM + "app.py",
        "        by.caller.require(page.scope)\n",
        "",
        ENTRY + "a_session_may_what_its_key_may_and_sees_its_keys_tenant",
    ),
    _planted(
        "dashboard: it is served where others read along",
        ROOM + "place.py",
        "    if is_loopback(host):\n",
        "    if host:\n",
        ENTRY + "there_is_none_where_others_could_read_along",
    ),
    _planted(
        "dashboard: the address of one message is shown whole",
        ROOM + "messages.py",
        "None if message.address is None else masked(message.address)",
        "message.address",
        PAGES + "a_message_shows_every_attempt_with_the_vendors_words",
    ),
    _planted(
        "stats: each sample counts the same",
        "policy/stats.py",
        "each = total / len(strip.samples) if strip.samples else 0.0",
        "each = 1.0",
        STATS + "each_sample_stands_for_as_many_as_its_span_has",
    ),
    _planted(
        "stats: what is under way is remembered as if it were over",
        "web/api/stats.py",
        "if unit[1] <= now - OVER_MS:",
        "if unit:",
        STATS + "what_is_over_is_counted_once_and_what_is_under_way_each_time",
    ),
]
