"""What the person who waits is told."""

from __future__ import annotations

from itertools import count

from scripts.release.progress import SELDOM, counted


def test_it_is_said_now_and_then_how_many_answers_there_are() -> None:
    said: list[str] = []
    ticks = count(step=SELDOM / 4)
    answers = counted(iter("abcdefgh"), 8, "tags", said.append, lambda: next(ticks))
    assert list(answers) == list("abcdefgh")
    assert said == ["tags: 4 of 8"]


def test_what_is_over_at_once_says_nothing() -> None:
    said: list[str] = []
    assert list(counted("abc", 3, "tags", said.append)) == list("abc")
    assert said == []
