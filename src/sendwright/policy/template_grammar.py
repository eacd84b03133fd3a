"""What a template may say: the part of Jinja that can be told to end, and to stay small, before it has run.

Text, `{{ … }}`, `if`, `for` and `set` of a single name; filters, tests and functions of the lists below. No macros, no blocks, no
includes: there is nothing to include. No calls of anything's methods, and nothing that begins with an underscore. Lists are written
of plain literals alone, and `set` takes texts, numbers and truth values (`KEEP` sees to it): a list that holds itself twice, or is
added to itself, thirty times over, is small while it is made and the end of whoever looks at it.

Jinja itself reads the template afterwards; this only refuses. So both must agree on where a tag ends: braces inside of
tags are refused, and what ends a tag is the first `}}` or `%}` outside of a string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

TAG_MAX = 2000
"""Characters of one tag. An expression of many thousand operators nests as deeply, which a parser does not survive."""
BRANCHES_MAX = 200
"""Of `elif` in one template, which nest too."""
STATEMENTS = frozenset({"if", "elif", "else", "endif", "for", "endfor", "set"})
FILTERS = frozenset(
    {
        "abs", "capitalize", "d", "default", "dictsort", "e", "escape", "first", "float", "format", "int", "items", "join",
        "last", "length", "lower", "max", "min", "replace", "reverse", "round", "sort", "split", "string", "sum", "title",
        "tojson", "trim", "truncate", "unique", "upper", "urlencode",
    }
)  # fmt: skip
TESTS = frozenset(
    {
        "defined", "undefined", "none", "true", "false", "string", "number", "sequence", "odd", "even", "divisibleby", "in",
        "eq", "ne", "lt", "le", "gt", "ge", "startingwith", "endingwith",
    }
)  # fmt: skip
FUNCTIONS = frozenset({"range"})
KEEP = "_keep"
"""The function that every value goes through which is `set`."""

_BEGIN = re.compile(r"\{[{%#]")
_MARKS = ("{{", "{%", "{#")
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<end>[-+]?(?:\}\}|%\}))
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<number>[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)
      | (?P<name>[^\W\d]\w*)
      | (?P<sign>\*\*|//|==|!=|<=|>=|[-+*/%~<>=|.,:()\[\]])
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "for", "elif", "set"})
"""After which no value is at hand: what follows in brackets begins one."""


class TemplateFault(Struct, frozen=True):
    """One thing that is wrong with a template. Never repeats what it says. `line` is 0 where that is not known."""

    line: int
    detail: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.detail}" if self.line else self.detail


class _Token(Struct, frozen=True):
    kind: str
    text: str
    end: int = 0
    """Where it ends in the template."""


class _Refused(Exception):
    """Ends the reading of one template."""


def is_template(text: str) -> bool:
    """Whether anything of it is to be filled in; else it says what it says."""
    return any(mark in text for mark in _MARKS)


def faults(source: str) -> list[TemplateFault]:
    """What a template says that none may; the first thing of each tag."""
    return _read(source)[0]


def guarded(source: str) -> str:
    """A template without faults as Jinja is to have it: what is `set` goes through `KEEP`. Its lines stay where they were."""
    pieces, at = [], 0
    for begin, end in _read(source)[1]:
        pieces += [source[at:begin], f" {KEEP}(", source[begin:end], ")"]
        at = end
    return "".join([*pieces, source[at:]])


def place_fault(source: str, name: str) -> TemplateFault | None:
    """Why a template without faults does not hold a variable as a place: once, alone in its tag, whatever the data say."""
    at, depth, places = 0, 0, 0
    while begin := _BEGIN.search(source, at):
        if begin[0] == "{#":
            at = source.index("#}", begin.end()) + 2
            continue
        tokens, at = _tag(source, begin)
        texts = [token.text for token in tokens]
        if begin[0] == "{%":
            depth += (texts[0] in ("if", "for")) - (texts[0] in ("endif", "endfor"))
        named = any(
            token.kind == "name" and token.text == name and texts[:place][-1:] != ["."] for place, token in enumerate(tokens)
        )
        if not named:
            continue
        line = 1 + source.count("\n", 0, begin.start())
        if begin[0] == "{%" or len(tokens) > 1:
            return TemplateFault(line, f"{name} stands alone: {{{{ {name} }}}}")
        if depth:
            return TemplateFault(line, f"{{{{ {name} }}}} stands outside of if and for")
        places += 1
    return None if places == 1 else TemplateFault(0, f"must hold {{{{ {name} }}}} once")


def _read(source: str) -> tuple[list[TemplateFault], list[tuple[int, int]]]:
    """The faults; and from where to where values stand that are `set`."""
    found: list[TemplateFault] = []
    kept: list[tuple[int, int]] = []
    at, branches, line, counted = 0, 0, 1, 0
    while begin := _BEGIN.search(source, at):
        line, counted = line + source.count("\n", counted, begin.start()), begin.start()
        if begin[0] == "{#":
            end = source.find("#}", begin.end())
            if end < 0:
                return [*found, TemplateFault(line, "a comment has no end")], kept
            at = end + 2
            continue
        try:
            tokens, at = _tag(source, begin)
        except _Refused as refused:
            return [*found, TemplateFault(line, str(refused))], kept
        branches += bool(tokens) and tokens[0].text == "elif"
        problem = _problem(begin[0] == "{%", tokens)
        if branches > BRANCHES_MAX:
            return [*found, TemplateFault(line, f"more than {BRANCHES_MAX} elif are not supported")], kept
        if problem is not None:
            found.append(TemplateFault(line, problem))
        elif begin[0] == "{%" and tokens[0].text == "set":
            kept.append((tokens[2].end, tokens[-1].end))
    return found, kept


def _tag(source: str, begin: re.Match[str]) -> tuple[list[_Token], int]:
    """The tokens of one tag, and where it ends."""
    tokens: list[_Token] = []
    at = begin.end()
    if source[at : at + 1] in ("-", "+"):
        at += 1
    closing = "}}" if begin[0] == "{{" else "%}"
    while True:
        if at - begin.start() > TAG_MAX:
            raise _Refused(f"a tag has more than {TAG_MAX} characters")
        token = _TOKEN.match(source, at)
        if token is None:
            raise _Refused("a tag has no end" if not source[at:].strip() else "a tag holds a character that means nothing here")
        at = token.end()
        if token["end"] is not None:
            if not token["end"].endswith(closing):
                raise _Refused("a tag ends otherwise than it began")
            return tokens, at
        kind = str(token.lastgroup)
        tokens.append(_Token(kind, token[kind], at))


def _problem(statement: bool, tokens: list[_Token]) -> str | None:
    if not statement:
        return _expression(tokens) if tokens else "an expression is empty"
    if not tokens or tokens[0].kind != "name":
        return "a statement has no name"
    name, rest = tokens[0].text, tokens[1:]
    if name not in STATEMENTS:
        return f"{name[:50]} is not supported: {', '.join(sorted(STATEMENTS))} are"
    if name == "set":
        if len(rest) < 3 or rest[0].kind != "name" or rest[1].text != "=":
            return "set takes one name and a value"
        return _name_fault(rest[0].text) or _expression(rest[2:])
    if name == "for":
        return _loop(rest)
    return _expression(rest) if rest else None


def _loop(tokens: list[_Token]) -> str | None:
    texts = [token.text for token in tokens]
    if "in" not in texts:
        return "for needs `in`"
    place = texts.index("in")
    targets = tokens[:place]
    if any(t.kind != "name" for t in targets[::2]) or any(t.text != "," for t in targets[1::2]) or len(targets) % 2 == 0:
        return "for takes names, with commas between them"
    if "recursive" in texts:
        return "recursive is not supported"
    return next(filter(None, (_name_fault(t.text) for t in targets[::2])), None) or _expression(tokens[place + 1 :])


def _name_fault(name: str) -> str | None:
    return "names that begin with an underscore are not supported" if name.startswith("_") else None


def _expression(tokens: list[_Token]) -> str | None:
    return next(_wrong(tokens), None)


def _wrong(tokens: list[_Token]) -> Iterator[str]:
    """What is wrong with an expression, token by token; `open_` are the brackets that it is inside of."""
    open_: list[str] = []
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else _Token("sign", "")
        if token.kind == "name":
            yield from _of_name(tokens, place, before)
        elif token.text == "(":
            called = _called(tokens, place)
            if called is not None and called not in ("call", "group"):
                yield called
            open_.append("(" if called == "call" else "group")
        elif token.text == "[":
            indexes = _is_value(before)
            if not indexes and not _plain_list(tokens, place):
                yield "a list holds texts and numbers alone"
            open_.append("index" if indexes else "[")
        elif token.text in (")", "]"):
            if open_:
                open_.pop()
        elif token.text == "," and (not open_ or open_[-1] in ("group", "index")):
            yield "a comma stands between arguments and in lists alone"


def _of_name(tokens: list[_Token], place: int, before: _Token) -> Iterator[str]:
    name = tokens[place].text
    fault = _name_fault(name)
    if fault is not None:
        yield fault
    if before.text == "|" and name not in FILTERS:
        yield f"the filter {name[:50]} is not supported"
    following = tokens[place + 1].text if place + 1 < len(tokens) else ""
    if name in FUNCTIONS and before.text != "." and following != "(":
        yield f"{name} is to be called"
    tested = before.text == "is" or (before.text == "not" and place > 1 and tokens[place - 2].text == "is")
    if tested and name not in TESTS and name != "not":
        yield f"the test {name[:50]} is not supported"


def _called(tokens: list[_Token], place: int) -> str | None:
    """What a parenthesis is: a `call` of what may be called, a `group`, or a fault."""
    if place == 0:
        return "group"
    before = tokens[place - 1]
    if not _is_value(before):
        return "group"
    earlier = tokens[place - 2].text if place > 1 else ""
    of_filter = earlier in {"|", "is"} or (earlier == "not" and place > 2 and tokens[place - 3].text == "is")
    if before.kind == "name" and (of_filter or (before.text in FUNCTIONS and earlier != ".")):
        return "call"
    return "only filters, tests and range can be called"


def _is_value(token: _Token) -> bool:
    """Whether a value ends with it, so that a bracket behind it belongs to that."""
    if token.kind == "name":
        return token.text not in _WORDS
    return token.kind in ("string", "number") or token.text in (")", "]")


def _plain_list(tokens: list[_Token], place: int) -> bool:
    for token in tokens[place + 1 :]:
        if token.text == "]":
            return True
        if token.kind not in ("string", "number") and token.text not in (",", "-"):
            return False
    return False
