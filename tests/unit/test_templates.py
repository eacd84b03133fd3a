"""Templates: what they say, what they can't, and that none runs or grows for ever."""

from __future__ import annotations

from typing import Any

import pytest

from sendwright.policy import templates
from sendwright.policy.template_grammar import BRANCHES_MAX, TAG_MAX, TemplateFault
from sendwright.policy.templates import KEPT, OUTPUT_MAX, Wrong, check, check_all, fill, fill_all, variables

ORDER = {
    "number": 1234,
    "total": 19.9,
    "items": [{"name": "Tea", "count": 2}, {"name": "<Cups>", "count": 1}],
    "note": None,
    "express": True,
    "address": {"city": "Lisboa"},
}


def said(source: str, *, escaped: bool = False, **data: Any) -> str:
    return fill(source, variables({"order": ORDER, **data}), escaped=escaped)


def wrong(source: str, **data: Any) -> str:
    with pytest.raises(Wrong) as error:
        said(source, **data)
    return str(error.value)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Nothing to fill in", "Nothing to fill in"),
        ("Order {{ order.number }} is on its way.", "Order 1234 is on its way."),
        ("{{ order['address'].city|upper }}", "LISBOA"),
        ("{% for item in order.items %}{{ loop.index }}. {{ item.name }}\n{% endfor %}", "1. Tea\n2. <Cups>\n"),
        ("{% for k, v in order.address|items %}{{ k }}={{ v }}{% endfor %}", "city=Lisboa"),
        ("{{ '%.2f'|format(order.total * 2) }}", "39.80"),
        ("{% if order.express and order.number in [1, 1234] %}fast{% else %}slow{% endif %}", "fast"),
        ("{% if order.coupon is defined %}{{ order.coupon }}{% else %}none{% endif %}", "none"),
        ("{{ order.coupon|default('no coupon') }}", "no coupon"),
        ("{{ order.note|default('-', true) }}", "-"),
        ("{% set half = order.number // 2 %}{{ half }}", "617"),
        ("{%- set a = 1 -%} {% set b = a if a == 1 else 2 %}{{ b }}{% if b %}{% set b = 'x|y' %}{{ b }}{% endif %}", "1x|y"),
        ("{{ order.address|tojson }}", '{"city":"Lisboa"}'),
        ("{{ 'a long story'|truncate(6) }}", "a lon…"),
        ("{# a remark with {{ braces }} #}x", "x"),
        ("{{ '}}' }}{{ \"%}\" }}", "}}%}"),
        ("a {%- if true -%} b {%- endif -%} c", "abc"),
        ("line\n", "line\n"),
    ],
)
def test_a_template_says(source: str, text: str) -> None:
    assert said(source) == text


def test_html_is_escaped_and_text_is_not() -> None:
    name = "<script>alert('x')</script>"
    assert said("<b>{{ name }}</b>", escaped=True, name=name) == "<b>&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;</b>"
    assert said("{{ name }}", name=name) == name
    assert "<" not in said("{{ name|tojson }}{{ name ~ '<' }}{{ [1, '<']|join('<') }}", escaped=True, name=name)


def test_a_value_that_looks_like_a_template_is_not_filled_in() -> None:
    assert said("{{ name }}", name="{{ order.number }}{% for %}") == "{{ order.number }}{% for %}"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("a\nb {{ missing }}", "line 2: a name is not defined"),
        ("{{ order.missing }}", "line 1: a name is not defined"),
        ("{% if order.missing %}x{% endif %}", "line 1: a name is not defined"),
        ("{{ order.note }}", "a value has no text: it is null, a list or an object"),
        ("{{ order.items }}", "a value has no text: it is null, a list or an object"),
        ("{{ order }}", "a value has no text: it is null, a list or an object"),
        ("{{ order.number|items }}", "a value is not of the kind that is needed"),
        ("\n{% set a = order.items %}", "a value is not of the kind that is needed"),
        ("{{ order.number + 'x' }}", "line 1: a value is not of the kind that is needed"),
    ],
)
def test_what_can_not_be_filled_in_is_a_fault_and_no_hole(source: str, fault: str) -> None:
    assert wrong(source) == fault


def test_a_fault_never_says_a_value() -> None:
    for source in (
        "{{ secret + 1 }}",
        "{{ secret|items }}",
        "{{ secret|int }}",
        "{{ {secret} }}",
        "{% for a, b in secret %}{% endfor %}",
    ):
        assert "hunter2" not in wrong(source, secret="hunter2")


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ order.__class__ }}",
        "{{ order['__class__'] }}",
        "{{ order._facts }}",
        "{{ order|attr('format') }}",
        "{{ '{0.__class__}'.format(order) }}",
        "{{ 'x'.upper() }}",
        "{{ order.items.append(1) }}",
        "{{ (order.items.append)(1) }}",
        "{{ order.items.append }}",
        "{{ order.keys }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler('a') }}",
        "{{ namespace(a=1) }}",
        "{{ debug() }}",
        "{{ dict(a=1) }}",
        "{{ self }}",
        "{{ order.number|safe }}",
        "{{ order.items|map('upper') }}",
        "{{ order|xmlattr }}",
        "{{ order is callable }}",
        "{{ range }}",
        "{{ {'a': 1} }}",
        "{{ (order, order) }}",
        "{{ [order] }}",
        "{% set a = [order, order] %}",
        "{% set a, b = 1 %}",
        "{% set a %}x{% endset %}",
        "{% set _a = 1 %}",
        "{% for _a in order.items %}{% endfor %}",
        "{% for a in order.items recursive %}{{ loop(a) }}{% endfor %}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% macro m() %}{% endmacro %}",
        "{% call m() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{% autoescape false %}{% endautoescape %}",
        "{% raw %}{{ x }}{% endraw %}",
        "{% do order.items.append(1) %}",
        "{% block x %}{% endblock %}",
        "{% with a = 1 %}{% endwith %}",
    ],
)
def test_no_way_out(source: str) -> None:
    wrong(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}",
        "{% for i in range(1000000000) %}x{% endfor %}",
        "{{ 'a' * 10 ** 10 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ [1] * 10 ** 9 }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ long|replace('x', long)|replace('x', long) }}",
        "{{ many|join(long) }}",
        "{% for i in range(10000) %}{{ long }}{% endfor %}",
        "{% for i in range(10000) %}" + "x" * 10_000 + "{% endfor %}",
        "{% for i in range(10000) %}{% set x = order|tojson ~ long %}{% endfor %}",
        "{% for i in range(10000) %}{% set x = all|tojson %}{% endfor %}",
        "{% for i in range(10000) %}{% if long == 'x' %}{% endif %}{% for y in many %}{% endfor %}{% endfor %}",
        "{% set a = long %}" + "{% set a = a ~ a %}" * 60,
        "{% set a = many %}" + "{% set a = a + a %}" * 60 + "{{ a|length }}",
        "{{ " + "-" * 20_000 + "1 }}",
        "{{ " + "not " * 20_000 + "1 }}",
        "{{ 1" + " + 1" * 20_000 + " }}",
        "{{ " + "(" * 900 + "1" + ")" * 900 + " }}",
        "{% if 1 %}" + "{% elif 1 %}" * 20_000 + "{% endif %}",
        "{% if 1 %}" * 20_000 + "{% endif %}" * 20_000,
        "x" * (OUTPUT_MAX + 1) + "{{ order.number }}",
    ],
    ids=range(22),
)
def test_what_runs_or_grows_for_ever_ends_in_a_fault(source: str) -> None:
    many = ["x"] * 2000
    wrong(source, long="x" * 20_000, many=many, all={"many": many})


def test_a_large_list_is_not_copied_each_time_that_it_is_named() -> None:
    """It took half a minute: a list of a hundred thousand, named ten thousand times."""
    assert said("{% for i in range(10000) %}{% if many[0] and deep.many[0] %}{% endif %}{% endfor %}", many=[1] * 100_000, deep={
        "many": [1] * 100_000
    }) == ""  # fmt: skip


def test_what_is_wrong_is_told_before_it_is_filled_in() -> None:
    assert check("fine {{ order.number }}") == []
    assert check("{{ a|safe }}\n{% include 'x' %}\n{{ 1 }}") == [
        TemplateFault(1, "the filter safe is not supported"),
        TemplateFault(2, "include is not supported: elif, else, endfor, endif, for, if, set are"),
    ]
    assert check("\n{% if 1 %}") == [TemplateFault(2, "can't be read as a template")]
    assert check("{{ 1 %}") == [TemplateFault(1, "a tag ends otherwise than it began")]
    assert check("{{ 1") == [TemplateFault(1, "a tag has no end")]
    assert check("{# 1") == [TemplateFault(1, "a comment has no end")]
    assert check("{{ '" + "x" * TAG_MAX + "' }}") == [TemplateFault(1, f"a tag has more than {TAG_MAX} characters")]
    assert len(check("{% if 1 %}" + "{% elif 1 %}" * (BRANCHES_MAX + 1) + "{% endif %}")) == 1


def test_every_text_of_a_content_is_a_template_and_faults_name_the_part() -> None:
    content = {
        "title": "Order {{ order.number }}",
        "email": {"subject": "{{ nobody }}", "html": "<b>{{ x }}</b>", "text": "{{ x }}"},
        "actions": [{"id": "a", "label": "See {{ order.number }}"}, {"id": "b", "label": "{{ nothing }}"}],
        "push": {"badge": 3},
    }
    filled, faults = fill_all(content, variables({"order": ORDER, "x": "<>"}), ("content",))
    assert filled["title"] == "Order 1234"
    assert (filled["email"]["html"], filled["email"]["text"]) == ("<b>&lt;&gt;</b>", "<>")
    assert (filled["actions"][0]["label"], filled["push"]) == ("See 1234", {"badge": 3})
    assert [(f.pointer, f.code) for f in faults] == [
        ("#/content/email/subject", "invalid_template"),
        ("#/content/actions/1/label", "invalid_template"),
    ]
    assert [f.pointer for f in check_all({"a": ["x", "{{ 1"]}, ("content",))] == ["#/content/a/1"]


def test_what_is_kept_compiled_is_bounded_and_what_was_dropped_is_compiled_anew() -> None:
    first = "first {{ order.number }}"
    assert said(first) == "first 1234"
    for number in range(KEPT + 10):
        said(f"{number} {{{{ order.number }}}}")
    kept = templates._COMPILED
    assert len(kept._names) == KEPT
    assert (first, False) not in kept._names
    assert kept._characters == sum(len(source) for source, _ in kept._names)
    assert said(first) == "first 1234"


def test_large_templates_push_out_others_by_their_size() -> None:
    for number in range(20):
        said(f"{number}{{{{ order.number }}}}" + "x" * 900_000)
    assert templates._COMPILED._characters <= templates.KEPT_CHARACTERS


def test_the_variables_can_not_be_changed_by_a_template() -> None:
    given = variables({"order": ORDER})
    fill(
        "{% for item in order.items|reverse %}{{ item.name }}{% endfor %}{{ order.items|sort(attribute='name')|length }}",
        given,
        escaped=False,
    )
    assert fill("{{ order.items|length }}{{ order.items[0].name }}", given, escaped=False) == "2Tea"


def test_a_mistake_of_the_engine_costs_its_own_template_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As pyo3 raises it."""

    def broken(*_: object, **__: object) -> str:
        raise PanicException

    monkeypatch.setattr(type(templates._environment()), "render_template", broken)
    assert wrong("{{ order.number }}") == "a value is not of the kind that is needed"
