"""Mistakes about the dashboard: who is let in, whose forms count, and what of others' words a page lets through."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

ENTRY = "unit/test_dashboard_entry.py::test_"
PAGES = "unit/test_dashboard_pages.py::test_"
SET_UP = "unit/test_dashboard_set_up.py::test_"
TENANTS = "unit/test_dashboard_tenants.py::test_"
TYPES = "unit/test_dashboard_types.py::test_"
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
        '        except (Refusal, UnicodeDecodeError):\n            return Caller(session.tenant, frozenset({"read"})), None\n',
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
        "dashboard: who turns to a tenant leaves the old session behind",
        ROOM + "signing_in.py",
        "        if not await self._services.sessions.end(by.session.tenant, by.session.id):\n",
        "        if False:\n",
        TENANTS + "turning_neither_keeps_the_old_secret_nor_puts_off_the_end",
    ),
    _planted(
        "dashboard: a form is taken for another tenant than the one that it was opened for",
        ROOM + "signing_in.py",
        "return hmac.new(self._csrf_key, session.id.encode(), hashlib.sha256).hexdigest()",
        "return hmac.new(self._csrf_key, session.tenant.encode(), hashlib.sha256).hexdigest()",
        TENANTS + "a_form_that_was_opened_for_one_tenant_is_not_taken_for_another",
    ),
    _planted(
        "dashboard: handlers are not told for whom somebody acts",
        ROOM + "signing_in.py",
        "return said if by.acts is None else {**said, **_for(by.acts)}",
        "return said",
        TENANTS + "while_one_acts_for_nobody_in_particular_everybodys_keys_are_seen",
    ),
    _planted(
        "dashboard: an open overview turns into another tenant's",
        ROOM + "overview.py",
        '    if visit.query.get("tenant", visit.tenant) != visit.tenant:',
        '    if visit.query.get("tenant", visit.tenant) == "":',
        TENANTS + "the_figures_of_an_open_overview_do_not_turn_into_another_tenants",
    ),
    _planted(
        "dashboard: one person's addresses are shown whole",
        ROOM + "people.py",
        "return api.masked_view(await api.get_recipient(visit.ask(id=id_)))",
        "return await api.get_recipient(visit.ask(id=id_))",
        SET_UP + "a_person_is_shown_with_masked_addresses_and_their_messages",
    ),
    _planted(
        "dashboard: a person is erased by one click",
        ROOM + "people.py",
        'if visit.text("typed").strip() != id_.strip() or not id_:',
        "if not id_:",
        SET_UP + "a_person_is_erased_only_when_the_id_is_typed_in",
    ),
    _planted(
        "dashboard: a type that others changed meanwhile is overwritten",
        ROOM + "types.py",
        "if (None if newest is None else newest.version) != seen:",
        "if seen == 0:",
        TYPES + "who_was_overtaken_overwrites_nothing",
    ),
    _planted(
        "dashboard: whoever may look fills in templates of their own",
        ROOM + "types.py",
        'if "admin" not in visit.by.caller.scopes:',
        'if "read" not in visit.by.caller.scopes:',
        TYPES + "who_may_only_look_sees_what_is_stored_and_nothing_else",
    ),
    _planted(
        "dashboard: a mail is a page like any other",
        ROOM + "app.py",
        "b\"sandbox; default-src 'none'; style-src",
        "b\"default-src 'none'; style-src",
        TYPES + "a_mail_comes_back_under_a_policy_that_lets_it_do_nothing",
    ),
    _planted(
        "stats: each sample counts the same",
        "policy/stats.py",
        "total / len(strip.samples) if strip.samples else 0.0",
        "1.0",
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
