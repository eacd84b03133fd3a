"""Fills in templates: text, HTML, and whole contents of them. Pure: the same template and variables always say the same.

Jinja's syntax, as far as template_grammar.py lets it. Strict: a name that is not there, and a value that has no text, end in a
fault, not in a hole in what somebody reads. Parts whose name is `html` are escaped, all others are not. What runs or grows for
ever runs out of fuel, which is paid for steps and for sizes alike.

A fault names the part by its pointer, and the line; never a value. What was filled in is judged as what is posted is
(admission.py), since a variable may hold a line break or a link of any scheme.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from sendwright.policy.payload_schema import FAULTS_MAX, Fault, pointer
from sendwright.policy.template_grammar import FILTERS, KEEP, TESTS, TemplateFault, faults, guarded, is_template

if TYPE_CHECKING:
    from minijinja import Environment, TemplateError

FUEL = 200_000
"""Steps of one template, sizes counted in: some tens of ms at the most."""
OUTPUT_MAX = 1_000_000
"""Characters that one template may come to."""
TEMPLATE_MAX = 1_000_000
"""Characters of one template."""
TEXT_COST = 64
"""Characters of a variable that are read for one."""
KEPT = 512
KEPT_CHARACTERS = 8_000_000
"""So many templates are kept compiled, of so many characters in all; the one that was longest not used goes first."""
RESERVED = frozenset({"recipient", "notification", "loop", "range"})
"""Names that variables can't have."""

HTML = "html"


class Wrong(Exception):
    """A template that can't be filled in: what is wrong with it, and where."""

    def __init__(self, fault: TemplateFault) -> None:
        self.fault = fault
        super().__init__(str(fault))


class Facts:
    """An object of the variables as templates see it: its members, and nothing else of Python's."""

    __slots__ = ("_facts",)

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._facts = facts

    def __getitem__(self, name: str) -> Any:
        value = self._facts[name]
        if isinstance(value, str):
            _BUDGET.spend(len(value) // TEXT_COST)  # it is copied for whoever asks
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._facts

    def __iter__(self) -> Any:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def __repr__(self) -> str:
        return "Facts(…)"


class Row(list[Any]):
    """A list of the variables, likewise. It is not copied each time that it is named, as a tuple is."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise AttributeError(name)


def variables(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values as a template is given them: nothing in them can be changed, and nothing has methods."""
    return {name: _seen(value) for name, value in values.items()}


def check(source: str) -> list[TemplateFault]:
    """Everything that can be told to be wrong with a template before it is filled in."""
    if len(source) > TEMPLATE_MAX:
        return [TemplateFault(1, f"a template has at most {TEMPLATE_MAX} characters")]
    if not is_template(source):
        return []
    found = faults(source)
    if not found:
        try:
            _COMPILED.name_of(source, escaped=False)
        except Wrong as wrong:
            found = [wrong.fault]
    return found


def fill(source: str, given: Mapping[str, Any], *, escaped: bool) -> str:
    """A template with its `variables` in it. Raises `Wrong`."""
    if not is_template(source):
        return source
    name = _COMPILED.name_of(source, escaped=escaped)
    _BUDGET.left = OUTPUT_MAX
    try:
        text = _environment().render_template(name, **given)
    except _template_error() as error:
        raise Wrong(_fault_of(error)) from None
    except _Spent:
        raise Wrong(TemplateFault(0, _KINDS["OutOfFuel"])) from None
    except _NoText:
        raise Wrong(TemplateFault(0, "a value has no text: it is null, a list or an object")) from None
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise Wrong(TemplateFault(0, _MISFIT)) from None
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise Wrong(TemplateFault(0, _MISFIT)) from None
    if escaped:
        text = text.replace("&#x2f;", "/")  # minijinja escapes it too: no HTML needs that, and links stay legible
    if len(text) > OUTPUT_MAX:
        raise Wrong(TemplateFault(0, f"comes to more than {OUTPUT_MAX} characters"))
    return text


def fill_all(part: Any, given: Mapping[str, Any], path: tuple[str | int, ...]) -> tuple[Any, list[Fault]]:
    """Every text of a JSON value, filled in; and what is wrong, by the pointers of the parts."""
    wrong: list[Fault] = []

    def one(text: str, where: tuple[str | int, ...]) -> str:
        try:
            return fill(text, given, escaped=where[-1] == HTML)
        except Wrong as error:
            wrong.append(Fault(pointer(where), "invalid_template", str(error)))
            return ""

    return _mapped(part, path, one), wrong


def check_all(part: Any, path: tuple[str | int, ...]) -> list[Fault]:
    """What can be told to be wrong with the templates of a JSON value, the first thing of each."""
    wrong: list[Fault] = []

    def one(text: str, where: tuple[str | int, ...]) -> str:
        for fault in check(text)[:1]:
            if len(wrong) < FAULTS_MAX:
                wrong.append(Fault(pointer(where), "invalid_template", str(fault)))
        return text

    _mapped(part, path, one)
    return wrong


def _mapped(part: Any, path: tuple[str | int, ...], one: Callable[[str, tuple[str | int, ...]], str]) -> Any:
    if isinstance(part, str):
        return one(part, path)
    if isinstance(part, dict):
        return {name: _mapped(value, (*path, name), one) for name, value in part.items()}
    if isinstance(part, list):
        return [_mapped(value, (*path, place), one) for place, value in enumerate(part)]
    return part


def _seen(value: Any) -> Any:
    if isinstance(value, dict):
        return Facts({name: _seen(inner) for name, inner in value.items()})
    if isinstance(value, list | tuple):
        return Row([_seen(inner) for inner in value])
    return value


def _plain(value: Any) -> Any:
    """The JSON value that a template saw."""
    if isinstance(value, Facts):
        return {name: _plain(value[name]) for name in value}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


class _Kept:
    """Templates that are compiled, the last used last."""

    def __init__(self) -> None:
        self._names: OrderedDict[tuple[str, bool], str] = OrderedDict()
        self._characters = 0
        self._count = 0

    def name_of(self, source: str, *, escaped: bool) -> str:
        """Under what name a template is kept. Raises `Wrong` where it is none."""
        key = (source, escaped)
        name = self._names.get(key)
        if name is not None:
            self._names.move_to_end(key)
            return name
        found = faults(source)
        if found:
            raise Wrong(found[0])
        self._count += 1
        name = f"{self._count}.{HTML if escaped else 'text'}"
        try:
            _environment().add_template(name, guarded(source))
        except _template_error() as error:
            raise Wrong(_fault_of(error)) from None
        self._names[key] = name
        self._characters += len(source)
        while len(self._names) > 1 and (len(self._names) > KEPT or self._characters > KEPT_CHARACTERS):
            (old, _), gone = self._names.popitem(last=False)
            self._characters -= len(old)
            _environment().remove_template(gone)
        return name


_COMPILED = _Kept()

_PANIC = "PanicException"
"""What a mistake of minijinja's own is raised as, beside all other exceptions; pyo3 does not tell its class."""
_MISFIT = "a value is not of the kind that is needed"
_KINDS = {
    "OutOfFuel": "takes too long, or grows too large",
    "UndefinedError": "a name is not defined",
    "SyntaxError": "can't be read as a template",
    "BadEscape": "holds an escape that means nothing",
    "UnknownFilter": "a filter is not known",
    "UnknownTest": "a test is not known",
    "UnknownFunction": "a function is not known",
    "MissingArgument": "an argument is missing",
    "TooManyArguments": "there are too many arguments",
    "CannotUnpack": "a value does not come apart as it is asked to",
}
"""Jinja's own words may quote a value; ours do not."""


def _fault_of(error: TemplateError) -> TemplateFault:
    return TemplateFault(error.line or 0, _KINDS.get(error.kind, _MISFIT))


@cache
def _template_error() -> type[TemplateError]:
    from minijinja import TemplateError  # noqa: PLC0415 -- as below

    return TemplateError


@cache
def _environment() -> Environment:
    from minijinja import Environment, safe  # noqa: PLC0415 -- a library of some size: who has no templates does not load it

    env = Environment(
        fuel=FUEL,
        undefined_behavior="strict",
        debug=False,
        pycompat=False,
        keep_trailing_newline=True,
        auto_escape_callback=lambda name: HTML if name.endswith(HTML) else None,
        finalizer=_written,
    )
    for name in _FOREIGN_FILTERS - FILTERS:
        env.remove_filter(name)
    for name in _FOREIGN_TESTS - TESTS:
        env.remove_test(name)
    for name in ("cycler", "debug", "dict", "joiner", "namespace"):
        env.remove_global(name)
    env.add_filter("items", lambda value: tuple((name, value[name]) for name in _facts(value)))
    env.add_filter("dictsort", lambda value: tuple((name, value[name]) for name in sorted(_facts(value))))
    env.add_filter("tojson", lambda value: safe(_json(value)))
    env.add_filter("truncate", _truncated)
    env.add_global(KEEP, _kept)
    return env


_FOREIGN_FILTERS = frozenset(
    {
        "attr", "batch", "bool", "chain", "count", "groupby", "indent", "lines", "list", "map", "pprint", "reject",
        "rejectattr", "safe", "select", "selectattr", "slice", "striptags", "xmlattr", "zip",
    }
)  # fmt: skip
_FOREIGN_TESTS = frozenset({"callable", "filter", "test", "safe", "escaped", "sameas", "mapping", "iterable"})
"""Of Jinja's own, those that are not for templates of ours."""


class _Spent(Exception):
    """Filters of ours have made more than one template may come to."""


class _NoText(Exception):
    """Something was to be written that has no text."""


class _Budget:
    """What filters of ours may still make for the template at hand: Jinja's fuel does not know of it."""

    left = OUTPUT_MAX

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise _Spent


_BUDGET = _Budget()


def _facts(value: Any) -> Iterable[str]:
    if not isinstance(value, Facts):
        raise TypeError("not an object")
    _BUDGET.spend(len(value))
    return value


def _json(value: Any) -> str:
    """JSON that can stand in HTML too."""
    text = msgspec.json.encode(_plain(value)).decode()
    _BUDGET.spend(len(text))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("'", "\\u0027")


def _truncated(value: str, length: int, end: str = "…") -> str:
    """The text, or its beginning with `end` behind it, of so many characters in all."""
    _BUDGET.spend(len(value))
    return value if len(value) <= length else value[: max(0, length - len(end))] + end


def _kept(value: Any) -> Any:
    """What `set` takes."""
    if isinstance(value, str):
        _BUDGET.spend(len(value) // TEXT_COST)
    elif not (value is None or isinstance(value, int | float)):
        raise TypeError("not a text, number or truth value")
    return value


def _written(value: Any) -> Any:
    """What `{{ … }}` writes: texts, numbers and truth values. Anything else is a mistake that nobody should receive."""
    if isinstance(value, str | int | float):
        return NotImplemented
    raise _NoText
