"""Layouts: what they may be, and how one is put around a mail."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.engine.render import words_of
from sendwright.model.content import EmailContent
from sendwright.model.said import Said
from sendwright.policy.filling import Unfillable, filled
from sendwright.policy.layouts import layout_faults, layout_in
from sendwright.providers.styling import inlined

SCHEMES = frozenset({"https"})
BRAND = {
    "html": "<header>{{ shop|default('Shop') }}</header>{{ content }}<footer>{{ recipient.id }} {{ notification.type }}</footer>",
    "text": "{{ content }}\n-- \n{{ shop|default('Shop') }}",
    "locales": {"pt": {"text": "{{ content }}\n-- \nLoja"}},
}


def mail(content: dict[str, Any], layout: dict[str, Any] = BRAND, about: dict[str, Any] | None = None, **data: Any) -> Any:
    """(title, text, html) of a mail in a layout; or what is wrong."""
    said = msgspec.convert({"email": {"layout": "brand", **content.pop("email", {})}, **content}, Said)
    more = {"data": data or None, "notification": {"type": "order"}, "layouts": {"brand": layout}}
    done = filled(msgspec.structs.replace(said, **more), about or {"id": "ada"}, {"email", "sms"}, SCHEMES)
    return done.detail if isinstance(done, Unfillable) else words_of(done, "email")[:3]


def test_a_layout_stands_around_text_and_html_and_escapes_nothing_a_second_time() -> None:
    said = {"title": "T", "body": "Hi {{ name }}", "html": "<p>{{ name }}</p>"}
    assert mail(dict(said), name="<Ada>", shop="A&B") == (
        "T",
        "Hi <Ada>\n-- \nA&B",
        "<header>A&amp;B</header><p>&lt;Ada&gt;</p><footer>ada order</footer>",
    )


def test_without_data_the_content_is_as_it_was_posted_and_the_layout_is_a_template_all_the_same() -> None:
    assert mail({"body": "{{ braces }}", "html": "<b>{{ braces }}</b>"}) == (
        None,
        "{{ braces }}\n-- \nShop",
        "<header>Shop</header><b>{{ braces }}</b><footer>ada order</footer>",
    )


def test_a_mail_without_html_has_its_text_in_the_layouts_escaped_line_by_line() -> None:
    _, text, html = mail({"body": "a < b\n\nc & d"}, {"html": "<i>{{ content }}</i>"})
    assert (text, html) == ("a < b\n\nc & d", "<i>a &lt; b<br>\n<br>\nc &amp; d</i>")


def test_a_mail_without_html_has_its_links_there_too() -> None:
    content = {
        "body": "Hi",
        "url": "https://shop.example/?a=1&b=2",
        "actions": [{"id": "a", "label": "Look <here>", "url": "https://shop.example/a"}, {"id": "b", "label": "None"}],
        "media": [{"url": "https://shop.example/c.png"}],
    }
    html = mail(content, {"html": "{{ content }}"})[2]
    assert html == (
        'Hi<br>\n<a href="https://shop.example/?a=1&amp;b=2">https://shop.example/?a=1&amp;b=2</a><br>\n'
        '<a href="https://shop.example/a">Look &lt;here&gt;</a><br>\n<a href="https://shop.example/c.png">https://shop.example/c.png</a>'
    )


def test_mails_own_parts_are_what_it_stands_around_and_a_part_that_says_nothing_stays_so() -> None:
    own = {"email": {"html": "<p>own</p>", "text": "own"}, "body": "b", "html": "<p>b</p>"}
    assert mail(own, {"html": "[{{ content }}]", "text": "[{{ content }}]"})[1:] == ("[own]", "[<p>own</p>]")
    assert mail({"html": "<p>b</p>"}, {"text": "[{{ content }}]"})[1:] == ("", "<p>b</p>")


def test_a_style_sheet_of_the_layout_is_written_into_the_mails_own_elements() -> None:
    layout = {"html": "<html><head><style>p { color: red }</style></head><body>{{ content }}</body></html>"}
    html = mail({"html": "<p>x</p>"}, layout)[2]
    assert '<p style="color: red;">x</p>' in inlined(html)


def test_a_layout_is_in_the_recipients_language() -> None:
    assert mail({"body": "Oi"}, about={"id": "ada", "locale": "pt-BR"})[1] == "Oi\n-- \nLoja"
    assert mail({"body": "Hi"}, about={"id": "ada", "locale": "de"})[1] == "Hi\n-- \nShop"


def test_no_other_channel_has_a_layout() -> None:
    said = Said(body="Hi", layouts={"brand": {"text": "[{{ content }}]"}}, email=EmailContent(layout="brand"))
    done = filled(said, {"id": "ada"}, {"sms", "email"}, SCHEMES)
    assert isinstance(done, Said)
    assert words_of(done, "sms")[1] == "Hi"
    alone = filled(said, {"id": "ada"}, {"sms"}, SCHEMES)
    assert isinstance(alone, Said)
    assert alone.email is None


def test_what_a_layout_lacks_is_a_fault_of_its_part_and_line() -> None:
    assert mail({"body": "x"}, {"text": "\n{{ nobody }}{{ content }}"}) == "#/layouts/brand/text: line 2: a name is not defined"
    assert mail({"body": "x" * 999_999}, {"text": "ab{{ content }}"}).startswith("#/content/email/text: ")


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_the_variables_hold_the_content_is_there_once_and_whole(name: str, body: str) -> None:
    layout = {"text": "{{ name }}|{{ content }}|{{ name }}"}
    body = body.replace("{", "(") or "x"
    assert mail({"body": body}, layout, name=name)[1] == f"{name}|{body}|{name}"


def test_a_variable_that_looks_like_the_place_is_none() -> None:
    told = "\ue000\ue001"
    assert mail({"body": "x"}, {"text": "{{ name }}{{ content }}"}, name=told)[1] == f"{told}x"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"html": "{{ content }}"}, {}),
        ({"html": "a{{- content -}}b", "text": "{# {{ content }} #}{{ content }}{% if a.content %}{% endif %}"}, {}),
        ({}, {"#": "empty"}),
        ({"description": "x", "html": ""}, {"#": "empty"}),
        ({"html": "none"}, {"#/html": "invalid_template"}),
        ({"text": "{{ content }}{{ content }}"}, {"#/text": "invalid_template"}),
        ({"text": "{% if a %}{{ content }}{% endif %}"}, {"#/text": "invalid_template"}),
        ({"text": "{% for a in b %}{{ content }}{% endfor %}"}, {"#/text": "invalid_template"}),
        ({"text": "{{ content|upper }}"}, {"#/text": "invalid_template"}),
        ({"text": "{% set content = 'x' %}{{ content }}"}, {"#/text": "invalid_template"}),
        ({"text": "{% if content %}x{% endif %}{{ content }}"}, {"#/text": "invalid_template"}),
        ({"text": "{{ content }}{% include 'x' %}"}, {"#/text": "invalid_template"}),
        ({"html": 1, "colour": "red"}, {"#/html": "invalid_type", "#/colour": "unknown_field", "#": "empty"}),
        (
            {"html": "{{ content }}", "locales": {"p!": {"html": "x"}, "pt": {"text": "{{"}}},
            {
                "#/locales/p!": "invalid_locale",
                "#/locales/p!/html": "invalid_template",
                "#/locales/pt/text": "invalid_template",
            },
        ),
    ],
)
def test_a_layout_has_one_place_and_every_fault_is_told(body: dict[str, Any], found: dict[str, str]) -> None:
    assert {fault.pointer: fault.code for fault in layout_faults(body)} == found


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b'{"content":{"email":{"layout":"brand"}}}', "brand"),
        (b'{"content":{"email":{"l\\u0061yout":"brand@2"}}}', "brand@2"),
        (b'{"content":{"email":{"layout":null}},"x":"layout"}', None),
        (b'{"content":{"body":"\\"layout\\""}}', None),
        (b'{"content":5,"a":"layout","layout":1}', None),
        (b'{"layout', None),
        (b"", None),
    ],
)
def test_the_layout_of_a_body_is_found_whatever_else_it_is(raw: bytes, name: str | None) -> None:
    assert layout_in(raw) == name
