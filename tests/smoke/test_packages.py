"""Each package that every image promises is used, not only imported: each in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from scripts.smoke.plugin import Claim
    from tests.containers import Container, Finished

# Distribution to what is done with it, and what that prints.
USES = {
    "numpy": ("import numpy; print(numpy.linalg.solve([[2., 1.], [1., 3.]], [3., 5.]).round(9))", "[0.8 1.4]"),
    "scipy": (
        """
from scipy import optimize, linalg, stats
root = optimize.brentq(lambda x: x * x - 2, 0, 2)
print(round(root, 6), linalg.det([[1., 2.], [3., 4.]]).round(6), round(stats.norm.cdf(1.96), 4))
""",
        "1.414214 -2.0 0.975",
    ),
    "pandas": (
        """
import io, pandas
frame = pandas.DataFrame({'day': pandas.date_range('2024-02-28', periods=3), 'x': [1, 2, 3], 'name': list('aba')})
again = pandas.read_csv(io.StringIO(frame.to_csv(index=False)), parse_dates=['day'])
print((again['day'] == frame['day']).all(), again.groupby('name')['x'].sum().to_dict())
""",
        "True {'a': 4, 'b': 2}",
    ),
    "matplotlib": (
        """
import io, matplotlib
matplotlib.use('Agg')
from matplotlib import pyplot, image
figure, axes = pyplot.subplots(figsize=(2, 2), dpi=50)
axes.plot([0, 1], [0, 1], color='red', linewidth=6)
axes.set_title('words')
file = io.BytesIO()
figure.savefig(file, format='png')
pixels = image.imread(io.BytesIO(file.getvalue()))
red = ((pixels[..., 0] > .9) & (pixels[..., 1] < .1)).sum()
dark = (pixels[..., :3].sum(axis=2) < 1.5).sum()
print(pixels.shape, 'red' if red > 100 else 'no line', 'black' if dark > 40 else 'no words')
""",
        "(100, 100, 4) red black",
    ),
    "scikit-learn": (
        """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
x, y = load_iris(return_X_y=True)
x, held, y, wanted = train_test_split(x, y, random_state=0)
score = LogisticRegression(max_iter=1000).fit(x, y).score(held, wanted)
print('learned' if score > .9 else f'score {score}')
""",
        "learned",
    ),
    "opencv-python": (
        """
import cv2, numpy
image = numpy.zeros((64, 64, 3), numpy.uint8)
cv2.rectangle(image, (16, 16), (47, 47), (255, 255, 255), -1)
again = cv2.imdecode(cv2.imencode('.png', image)[1], cv2.IMREAD_COLOR)
jpeg = cv2.imdecode(cv2.imencode('.jpg', image)[1], cv2.IMREAD_GRAYSCALE)
edges = cv2.Canny(cv2.cvtColor(again, cv2.COLOR_BGR2GRAY), 50, 150)
print((again == image).all(), int(cv2.resize(jpeg, (1, 1), interpolation=cv2.INTER_AREA)[0, 0]), cv2.countNonZero(edges) > 100)
""",
        "True 64 True",
    ),
    "seaborn": (
        """
import matplotlib
matplotlib.use('Agg')
import pandas, seaborn
axes = seaborn.barplot(pandas.DataFrame({'kind': ['a', 'a', 'b'], 'x': [1, 3, 5]}), x='kind', y='x', errorbar=None)
axes.figure.canvas.draw()
print([float(bar.get_height()) for bar in axes.patches])
""",
        "[2.0, 5.0]",
    ),
    "tqdm": (
        """
import io
from tqdm import tqdm
out = io.StringIO()
print(sum(tqdm(range(4), file=out, ncols=60)), '4/4' in out.getvalue() and '100%' in out.getvalue())
""",
        "6 True",
    ),
}
ELSEWHERE = frozenset({"ipywidgets", "jupyterlab", "jupyterlab-git", "pip", "vessl"})
"""Direct requirements that checks of other modules use."""


def use(rest: Container, code: str, seconds: int = 60) -> Finished:
    """Run Python in the container at rest, on one thread: the checks run side by side."""
    script = [
        "env",
        "OMP_NUM_THREADS=1",
        "MPLCONFIGDIR=/tmp/matplotlib",
        "python",
        "-I",
        "-B",
        "-W",
        "ignore",
        "-c",
        code,
    ]
    return rest.exec(*script, seconds=seconds)


def told(done: Finished) -> str:
    """What a process printed last, or how it failed, in a line."""
    if done.code == 0:
        return done.stdout.strip().rpartition("\n")[2]
    last = done.stderr.strip().rpartition("\n")[2]
    return f"killed by signal {done.code - 128}" if done.code > 128 else f"code {done.code}: {last}"[:150]


@pytest.mark.parametrize("name", USES)
def test_used(rest: Container, name: str, claim: Claim) -> None:
    code, expected = USES[name]
    claim(told(use(rest, code)), expected)
