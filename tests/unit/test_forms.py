"""Forms and heads as bytes: the same as the standard library's, and by the same rules whatever they come in."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.drivers.egress.wire import encode
from sendwright.providers.contract import HttpRequest
from sendwright.providers.forms import form_of

words = st.text(st.characters(exclude_categories=("Cs",)))


@given(st.lists(st.tuples(words, words)))
def test_a_form_is_written_as_the_standard_library_writes_it(fields: list[tuple[str, str]]) -> None:
    assert form_of(fields) == urlencode(fields).encode()


def test_what_is_no_unicode_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        form_of([("Body", "\ud800")])


def test_headers_in_lists_are_written_like_headers_in_tuples() -> None:
    listed: Any = [["Content-Type", "text/plain"], ["X-One", "1"]]
    request = HttpRequest("POST", "https://vendor.example/send", (("Content-Type", "text/plain"), ("X-One", "1")), b"body")
    assert encode(HttpRequest("POST", request.url, listed, b"body")) == encode(request)


def test_two_bodies_under_one_head_have_each_their_length() -> None:
    first, second = (encode(HttpRequest("POST", "https://vendor.example/send", (), body)).data for body in (b"one", b"three"))
    assert first.endswith(b"Content-Length: 3\r\n\r\none")
    assert second.endswith(b"Content-Length: 5\r\n\r\nthree")
