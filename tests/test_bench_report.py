"""The report of the benchmark: ratios, goals, what is merged and what is said, on made-up numbers."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from scripts.errors import UsageError
from tests.bench.__main__ import chosen_figures, main
from tests.bench.building import Phase, parse_phases
from tests.bench.figures import BOUNDS, FIGURES, Side
from tests.bench.picture import render_page, render_picture
from tests.bench.report import Result, merge, quantity, remarks, render_report, render_result, rows, times
from tests.bench.sides import copy_checkout

ROOT = Path(__file__).resolve().parents[1]
MACHINE = {"cores": 2, "memory": 24, "engine": "26.1.5"}
COLD = Result(
    figure="cold-build",
    samples={Side.PLAIN: [150.0, 100.0, 140.0], Side.COMPILED: [210.0, 210.0, 210.0], Side.OURS: [70.0, 80.0, 60.0]},
    phases={Side.PLAIN: (Phase(name="RUN pip install", seconds=60.0),), Side.OURS: ()},
)
SIZE = Result(figure="size", samples={Side.PLAIN: [1381.0], Side.OURS: [690.5]})


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    copy_checkout(ROOT, tmp_path)
    return tmp_path


def entry(result: Result, commit: str = "c1") -> dict[str, Any]:
    return render_result(result, time="2026-01-02T03:04:05+00:00", commit=commit)


def document() -> Any:
    return merge({}, "python:3.11", MACHINE, {"size": entry(SIZE), "cold-build": entry(COLD)})


def full() -> Any:
    """Every figure at its longest."""
    results = {
        name: Result(
            figure=name, samples={side: [1234.5 if side is not Side.OURS else 0.5] * 3 for side in figure.sides}
        )
        for name, figure in FIGURES.items()
    }
    return merge({}, "torch:2.3.1-cuda12.1", MACHINE, {name: entry(result) for name, result in results.items()})


def test_a_ratio_is_of_the_medians_and_the_goal_is_for_the_plain_image() -> None:
    found = entry(COLD)
    assert found["medians"] == {"plain": 140.0, "plain, compiled": 210.0, "ours": 70.0}
    assert found["ratios"] == {"plain": 2.0, "plain, compiled": 3.0}
    assert (found["goal"], found["met"]) == (2.5, False)
    assert found["samples"]["plain"] == [150.0, 100.0, 140.0]
    assert found["phases"]["plain"] == [{"name": "RUN pip install", "seconds": 60.0}]


@pytest.mark.parametrize(("plain", "met"), [(149.9, False), (150.0, True), (150.1, True)])
def test_a_goal_is_met_from_its_value_on(plain: float, met: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert entry(Result(figure="size", samples={Side.PLAIN: [plain], Side.OURS: [100.0]}))["met"] is met


def test_the_table_has_a_row_for_each_plain_image_and_one_goal_a_figure() -> None:
    assert [(row["plain"], row["ours"], row["ratio"], row["goal"], row[""]) for row in rows(document())] == [
        ("140 s", "70 s", "2.0", "2.5", "missed"),
        ("210 s", "70 s", "3.0", "", ""),
        ("1,381 MB", "690 MB", "2.0", "1.5", "met"),
    ]


def test_what_misses_its_goal_is_said_and_what_was_measured_too_few_times() -> None:
    once = Result(figure="pull", samples={Side.PLAIN: [30.0], Side.OURS: [10.0]})
    found = merge(document(), "python:3.11", MACHINE, {"pull": entry(once, commit="c2")})
    assert list(remarks(found)) == [
        f"cold-build: goal 2.5, measured 2.0: {BOUNDS['python:3.11']['cold-build']}",
        "pull: 1 run only; a median wants 3",
        "pull: measured at another commit than the first, c2",
    ]


def test_a_run_keeps_the_figures_that_it_does_not_measure_and_replaces_the_others() -> None:
    again = entry(Result(figure="size", samples={Side.PLAIN: [3.0], Side.OURS: [1.0]}))
    found = merge(json.loads(json.dumps(document())), "python:3.11", MACHINE, {"size": again})
    assert list(found["figures"]) == ["cold-build", "size"]
    assert found["figures"]["cold-build"] == document()["figures"]["cold-build"]
    assert found["figures"]["size"]["ratios"] == {"plain": 3.0}


def test_figures_of_another_image_are_not_merged() -> None:
    assert list(merge(document(), "cuda:12.1", MACHINE, {"size": entry(SIZE)})["figures"]) == ["size"]


def test_the_table_fits_into_80_columns() -> None:
    assert max(map(len, render_report(full()).splitlines())) <= 80
    assert "cold build, plain" in render_report(document())


def test_the_picture_is_small_and_well_formed_and_has_every_figure() -> None:
    picture = render_picture(full())
    assert len(picture.encode()) < 30_000
    texts = [item.text for item in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - ours
    assert {figure.title for figure in FIGURES.values()} <= set(texts)
    assert texts.count("2469") == len(FIGURES)


def test_the_bars_of_a_pair_are_as_long_as_their_values() -> None:
    root = ET.fromstring(render_picture(document()))  # noqa: S314 - ours
    widths = [float(item.attrib["width"]) for item in root.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert [widths[index + 1] / widths[index] for index in (0, 2)] == [0.5, 0.5]


def test_the_page_has_the_table_and_what_is_missed() -> None:
    page = render_page(document())
    assert "| cold build, empty caches | 140 s | 70 s | 2.0 | 2.5 | missed |" in page
    assert "- cold-build: goal 2.5, measured 2.0" in page
    assert "on 2 cores, 24 GiB of memory, Docker Engine 26.1.5, 2026-01-02" in page


@pytest.mark.parametrize(
    ("value", "shown"), [(1381.4, "1,381 s"), (100, "100 s"), (75.26, "75.3 s"), (10, "10 s"), (1.392, "1.39 s")]
)
def test_a_value_is_shown_to_three_digits_or_so(value: float, shown: str) -> None:
    assert quantity(value, "s") == shown


@pytest.mark.parametrize(
    ("ratio", "shown"), [(2.49, "2.4"), (2.5, "2.5"), (1.1, "1.1"), (0.97, "0.9"), (20, "20.0"), (120.6, "121")]
)
def test_a_ratio_that_misses_its_goal_does_not_look_as_if_it_reached_it(ratio: float, shown: str) -> None:
    assert times(ratio) == shown


@pytest.mark.parametrize("indent", [None, 2])  # what newer buildx writes, and what 0.13 does
def test_the_steps_of_a_build_are_read_from_what_buildkit_says_of_them(indent: int | None) -> None:
    def vertex(digest: str, name: str, started: str, completed: str | None, **more: Any) -> str:
        state = {"digest": digest, "name": name, "started": started, **more}
        return json.dumps({"vertexes": [state | ({"completed": completed} if completed else {})]}, indent=indent)

    lines = [
        vertex("a", "RUN apt-get", "2026-01-01T00:00:01.123456789Z", None),
        "not JSON",
        vertex("a", "RUN apt-get", "2026-01-01T00:00:01.123456789Z", "2026-01-01T00:00:04.623456789Z"),
        vertex("b", "RUN pip", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.1Z"),
        vertex("b", "RUN pip", "2026-01-01T00:00:01Z", None),
        vertex("b", "RUN --mount=type=secret,id=a   pip", "2026-01-01T00:00:01Z", "2026-01-01T00:01:01Z"),
        vertex("c", "COPY", "2026-01-01T00:00:01Z", "2026-01-01T00:00:01.4Z"),
        vertex("d", "FROM", "2026-01-01T00:00:01Z", "2026-01-01T00:00:09Z", cached=True),
        vertex("e", "never ended", "2026-01-01T00:00:01Z", None),
    ]
    expected = (Phase(name="RUN pip", seconds=60.0), Phase(name="RUN apt-get", seconds=3.5))
    assert parse_phases("\n".join(lines)) == expected
    assert parse_phases("\n".join(lines) + "\n") == expected


def test_a_figure_that_there_is_not_is_refused_with_the_names_of_all() -> None:
    assert chosen_figures("pull, size,pull") == ("pull", "size")
    with pytest.raises(UsageError, match=r'^--figures: no figure "sise", did you mean "size"') as caught:
        chosen_figures("pull,sise")
    assert ", ".join(FIGURES) in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["python:3.1"], 'no image "python:3.1"'),
        (["--report"], "python:3.11: nothing was measured yet (out/bench/python_3.11.json is missing)"),
        (["--runs", "9"], "--runs: expected 1 to 5, got 9"),
        (["--figures", "x"], '--figures: no figure "x"'),
    ],
)
def test_a_mistake_is_a_sentence(
    checkout: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments, checkout) == 2
    captured = capfd.readouterr()
    assert captured.err.startswith(said)
    assert captured.out == ""


def test_a_report_of_what_was_measured_before_goes_to_stdout_and_to_docs(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = checkout / "out" / "bench" / "python_3.11.json"
    store.parent.mkdir(parents=True)
    store.write_text(json.dumps(document()), encoding="utf-8")
    assert main(["--report", "--docs", "--format", "json"], checkout) == 0
    assert json.loads(capfd.readouterr().out) == document()
    assert (checkout / "docs" / "bench.svg").read_text("utf-8") == render_picture(document())
    assert (checkout / "docs" / "bench.md").read_text("utf-8") == render_page(document())


def test_another_image_gets_a_page_of_its_own_without_what_bounds_the_first(checkout: Path) -> None:
    store = checkout / "out" / "bench" / "torch_2.6.0-cuda12.4.json"
    store.parent.mkdir(parents=True)
    store.write_text(json.dumps({**document(), "image": "torch:2.6.0-cuda12.4"}), encoding="utf-8")
    shutil.rmtree(checkout / "docs")
    assert main(["torch:2.6.0-cuda12.4", "--report", "--docs"], checkout) == 0
    page = (checkout / "docs" / "bench-torch-2.6.0-cuda12.4.md").read_text("utf-8")
    assert "# torch:2.6.0-cuda12.4: a plain" in page
    assert "(bench-torch-2.6.0-cuda12.4.svg)" in page
    assert "- cold-build: goal 2.5, measured 2.0\n" in page
    assert {path.name for path in (checkout / "docs").iterdir()} == {
        "bench-torch-2.6.0-cuda12.4.md",
        "bench-torch-2.6.0-cuda12.4.svg",
    }
