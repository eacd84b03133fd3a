"""The text of an HTML document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.providers.plain import text_of_html


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("One<br>Two<br/>Three", "One\nTwo\nThree"),
        ("<div>One</div>\n  <div>Two</div>", "One\nTwo"),
        ("a &lt; b &amp;&amp; c&nbsp;d &eacute; &#128230;", "a < b && c\xa0d é 📦"),
        ("<h1>Hi</h1><ul><li>one<li>two</ul>end", "Hi\n\n- one\n- two\n\nend"),
        ('See <a href="https://example.com/?a=1&amp;b=2">this</a>.', "See this (https://example.com/?a=1&b=2)."),
        ('<a href="https://example.com">https://example.com</a>', "https://example.com"),
        ("<a href=https://example.com><img src=x></a>", "https://example.com"),
        ('<a href="javascript:alert(1)">press</a> <a name=x>here</a>', "press here"),
        ('<img src="a.png" alt="Our logo">', "Our logo"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<html><head><title>T</title><style>p{}</style></head><body>x</body></html>", "x"),
        ("<head><title>never closed<body>x", "x"),
        ("a<script>if (1 < 2) { document.write('<p>no</p>') }</script>b", "ab"),
        ("a<!-- hidden <p>x</p> -->b", "ab"),
        ("1 < 2", "1"),
        ("a<!-- never closed", "a"),
        ("<a href='https://a.example'>one <a href='https://b.example'>two</a>", "one (https://a.example)two (https://b.example)"),
    ],
)
def test_it_says_what_the_document_says(document: str, text: str) -> None:
    assert text_of_html(document) == text


@given(st.text(alphabet="<>!-/abp =\"'&;h\n", max_size=200) | st.text(max_size=100))
def test_no_document_raises(document: str) -> None:
    assert isinstance(text_of_html(document), str)


@pytest.mark.parametrize(
    "piece", ["<", "<!--", "<a href='https://x.example'>", "</a>", "<p>", "&#x", "<img alt='", "<a href=", "<script>", "<![CDATA["]
)
def test_a_document_made_to_be_slow_is_read_all_the_same(piece: str) -> None:
    """A megabyte of what a reader that goes back would read for hours: the test's own time limit ends it."""
    assert isinstance(text_of_html(piece * (1_000_000 // len(piece))), str)
