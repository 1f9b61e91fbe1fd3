"""The results as a picture and a page, for the README and docs/. Pure."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

from tests.bench.figures import FIGURES, Side
from tests.bench.report import machine_line, quantity, remarks, rows, times

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WIDTH: Final = 760
ROW: Final = 44
TOP: Final = 64
LEFT: Final = 264
"""Where the bars begin; their titles are before."""
LONGEST: Final = 256
"""Length of the longer bar of each pair."""
RATIO: Final = 640
PLAIN, OURS, INK, FAINT = "#9aa5b1", "#1f6feb", "#1f2328", "#59636e"


def render_picture(document: Mapping[str, Any]) -> str:
    """An SVG picture: two bars a figure, plain above ours, and the ratio beside them."""
    figures = document["figures"]
    height = TOP + ROW * len(figures) + 16
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13" role="img">'
        ),
        f"<title>{escape(document['image'])}: a plain sequential Dockerfile and ours</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
        _text(16, 26, f"{document['image']}, a plain sequential Dockerfile and ours", INK, weight=600),
        _text(16, 45, f"medians, {machine_line(document['machine'])}; shorter is better", FAINT),
        _text(RATIO, 45, "plain : ours", FAINT),
    ]
    for index, (name, entry) in enumerate(figures.items()):
        lines += _bars(TOP + ROW * index, entry, str(FIGURES[name].plain[0]))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bars(top: int, entry: Mapping[str, Any], plain: str) -> Iterator[str]:
    values = {side: entry["medians"][side] for side in (plain, str(Side.OURS))}
    longest = max(values.values())
    yield _text(16, top + 19, entry["title"], INK)
    for index, (side, value) in enumerate(values.items()):
        length, y = max(1.0, value / longest * LONGEST), top + 2 + 14 * index
        colour = PLAIN if index == 0 else OURS
        yield f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="12" fill="{colour}"/>'
        shown = f"{'plain' if side == plain else side} {quantity(value, entry['unit'])}"
        yield _text(LEFT + round(length) + 6, y + 10, shown, FAINT, size=11)
    yield _text(RATIO, top + 19, times(entry["ratios"][plain]), INK, weight=600)
    yield _text(RATIO + 50, top + 19, f"goal {entry['goal']:g}", FAINT, size=11)


def _text(x: int, y: int, text: str, colour: str, *, size: int = 13, weight: int = 400) -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" font-size="{size}" font-weight="{weight}">{escape(text)}</text>'


def render_page(document: Mapping[str, Any]) -> str:
    """The page of docs/: every figure as a Markdown table, and how it was measured."""
    head = ["figure", "plain", "ours", "plain : ours", "goal", ""]
    table = [head, ["---"] * len(head), *([str(row[key] or " ") for key in _KEYS] for row in rows(document))]
    lines = [
        f"# {document['image']}: a plain sequential Dockerfile and ours",
        "Made by `nox -s bench -- --docs`; do not edit.",
        f"![The figures of the table as bars]({page_name(document['image'])}.svg)",
        "\n".join(f"| {' | '.join(cells)} |" for cells in table),
        "\n".join(fill(f"- {line}", width=118, subsequent_indent="  ") for line in remarks(document)),
        METHOD.format(machine=machine_line(document["machine"]), times=_times(document)),
    ]
    return "\n\n".join(line for line in lines if line) + "\n"


def page_name(image: str) -> str:
    """Name of the page of docs/ and its picture, without what it ends with."""
    return "bench" if image == "python:3.11" else f"bench-{image.replace(':', '-')}"


_KEYS: Final = ("figure", "plain", "ours", "ratio", "goal", "")
METHOD: Final = """## How it was measured

Medians of the runs, both sides in turn,
{machine}, {times}.
All values and the steps of the builds are in the JSON file that the session writes. *Plain* is
`tests/bench/Dockerfile`: the same base, the same Python distributions and the same Debian packages asked for, at
the same versions (compared inside the images; the session fails where they differ), installed by pip step after
step in the order of the Jupyter Docker Stacks, gzip layers. Where pip's default of compiling changes a figure, or
the order of the steps does (`tests/bench/Dockerfile.sorted`), there is a row for that. What ours does without, such
as the drivers that Debian's OpenGL brings along, is part of what is compared.

- Builds are to an OCI layout. *Cold* is a new engine with no layer, no cache and no package in it, on a file system
  made for it (on a used one, what was removed before slows down new files); both sides are given the base as a local
  layout, and get their packages from the same index.
- The *bump* moves tqdm by one version, with warm caches; what is *pulled again* are the compressed layers that the
  image before did not have.
- The *edit* adds a comment to `start-workspace`.
- A *pull* is by an engine that has neither image nor base, unpacking included, from a registry on the same machine.
- *Start* and *import* are of new containers, timed from outside, after one that is not counted: the page cache is warm
  for both.
"""


def _times(document: Mapping[str, Any]) -> str:
    days = sorted({entry["measured"][:10] for entry in document["figures"].values()})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
