"""Several questions at a time, answers in order, and none asked twice."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from scripts.release.ahead import AHEAD, CONNECTIONS, Once, ask_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_answers_come_in_the_order_of_the_questions_and_several_are_asked_at_a_time() -> None:
    together = threading.Barrier(CONNECTIONS, timeout=20)

    def question(number: int) -> int:
        if number < CONNECTIONS:
            together.wait()  # breaks unless all of these are under way at once
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(ask_ahead(question, range(100))) == [number * number for number in range(100)]
    assert list(ask_ahead(question, ())) == []


def test_no_more_is_asked_ahead_than_fits() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10 * AHEAD):
            taken.append(number)
            yield number

    answers = ask_ahead(lambda number: number, items())
    for expected in range(AHEAD):
        assert next(answers) == expected
        assert len(taken) <= expected + AHEAD


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_one_that_fails_ends_it_and_the_rest_is_not_asked(kind: type[BaseException]) -> None:
    asked: list[int] = []

    def question(number: int) -> int:
        asked.append(number)
        if number == 3:
            raise kind
        time.sleep(0.01)
        return number

    answers = ask_ahead(question, range(10 * AHEAD))
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(kind):
        next(answers)
    assert len(asked) <= AHEAD + CONNECTIONS


def test_what_several_ask_for_at_the_same_time_is_asked_once() -> None:
    once, asked, together = Once(), [], threading.Barrier(CONNECTIONS, timeout=20)

    def question() -> str:
        asked.append(1)
        time.sleep(0.05)
        return "answer"

    def ask(_: int) -> str:
        together.wait()
        return once.ask("key", question)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        assert list(pool.map(ask, range(CONNECTIONS))) == ["answer"] * CONNECTIONS
    assert len(asked) == 1
    assert once.ask("key", lambda: "other") == "answer"
    assert once.ask("other key", lambda: "other") == "other"


def test_an_error_is_what_all_get_who_ask() -> None:
    once = Once()

    def question() -> str:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            once.ask("key", question)
