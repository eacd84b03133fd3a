"""How deep and how old a lane is, by what one process did and what surveys count."""

from __future__ import annotations

from sendwright.drivers.bus.sqs.book import OVERTAKEN_MAX, Book


def survey(book: Book, messages: int, now: int = 0) -> None:
    book.surveyed(book.version, messages, now)


def test_what_one_did_counts_at_once() -> None:
    book = Book()
    book.published("a", 10, 3)
    book.published("b", 20, 1)
    assert (book.depth, book.oldest_at()) == (4, 10)
    book.taken("a", 10, 3)
    assert (book.depth, book.oldest_at()) == (1, 20)
    book.given_back("a", 10, 3)
    assert (book.depth, book.oldest_at()) == (4, 10)
    book.taken("a", 10, 3)
    book.taken("b", 20, 1)
    assert (book.depth, book.oldest_at()) == (0, 0)


def test_others_bundles_count_as_much_as_ones_own_and_a_full_bundle_before_any_was_seen() -> None:
    book = Book()
    survey(book, 2, now=100)
    assert (book.depth, book.oldest_at()) == (100, 100)
    book.taken("x", 90, 4)
    assert book.depth == 4
    survey(book, 3, now=200)
    assert (book.depth, book.oldest_at()) == (12, 100)


def test_what_others_took_is_gone_the_oldest_first() -> None:
    book = Book()
    for at in (1, 2, 3):
        book.published(str(at), at, 5)
    survey(book, 1)
    assert (book.depth, book.oldest_at()) == (5, 3)
    survey(book, 0)
    assert (book.depth, book.oldest_at()) == (0, 0)


def test_a_bundle_that_comes_before_its_sending_was_confirmed_leaves_nothing_behind() -> None:
    book = Book()
    book.taken("a", 10, 3)
    assert book.depth == 0
    book.published("a", 10, 3)
    assert (book.depth, book.oldest_at()) == (0, 0)


def test_a_bundle_that_comes_from_the_queue_during_a_survey_is_not_counted_in_both_places() -> None:
    book = Book()
    book.published("a", 10, 1)
    began = book.version
    book.moved()
    book.surveyed(began, 2, now=20)
    book.taken("a", 10, 1)
    assert (book.depth, book.oldest_at()) == (0, 0)


def test_a_survey_that_the_book_overtook_counts_only_when_it_is_always_so() -> None:
    book = Book()
    for _ in range(OVERTAKEN_MAX):
        began = book.version
        book.published("a", 10, 1)
        book.surveyed(began, 0, 0)
        assert book.depth > 0
    began = book.version
    book.published("a", 10, 1)
    book.surveyed(began, 0, 0)
    assert book.depth == 0


def test_others_age_counts_from_the_last_that_was_taken() -> None:
    book = Book()
    survey(book, 5, now=100)
    book.taken("x", 150, 1)
    assert book.oldest_at() == 150
    survey(book, 0)
    survey(book, 5, now=900)
    assert book.oldest_at() == 900
