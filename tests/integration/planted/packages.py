"""Packages that can be imported, and fail when they are used."""

from __future__ import annotations

from tests.integration.planting import Fault, edit_python

SITE = "/opt/venv/lib/python3.11/site-packages"


def broken(
    name: str, path: str, line: str, says: str, *, on: str = "python:3.11", check: str = "packages.used"
) -> Fault:
    """A package with a line more at the end of a module; the line is in single quotes of a shell."""
    return Fault(
        name=f"{name} broken in use",
        check=f"{check}[{name}]",
        dockerfile=edit_python(f"{SITE}/{path}", f"$a {line}"),
        says=says,
        on=on,
    )


FAULTS = (
    broken("numpy", "numpy/linalg/_linalg.py", "solve = lambda a, b: array(b) * 0", "[0. 0.]"),
    # as a library does that was built for another processor: no exception, no word
    broken("scipy", "scipy/optimize/_zeros_py.py", "import os; brentq = lambda *_: os.abort()", "killed by signal 6"),
    broken("pandas", "pandas/io/parsers/readers.py", "read_csv = None", "NoneType"),
    broken(
        "matplotlib",
        "matplotlib/backends/backend_agg.py",
        "FigureCanvasAgg.draw = lambda self: self.get_renderer()",
        "no line no words",
    ),
    broken(
        "scikit-learn",
        "sklearn/linear_model/_logistic.py",
        "LogisticRegression.predict = lambda self, X: [self.classes_[0]] * len(X)",
        "score 0.",
    ),
    broken("opencv-python", "cv2/__init__.py", "imdecode = lambda *_: None", "!_src.empty()"),
    broken("seaborn", "seaborn/categorical.py", "barplot = lambda *_, **__: (1 / 0)", "ZeroDivisionError"),
    broken("tqdm", "tqdm/std.py", "tqdm.__iter__ = lambda self: iter([1])", "1 False"),
    broken(
        "torch",
        "torch/optim/sgd.py",
        "SGD.step = lambda self, closure=None: None",
        "0.54",
        check="training.learns",
    ),
    broken(
        "tensorflow",
        "tensorflow/python/eager/backprop.py",
        "GradientTape.gradient = lambda self, loss, variables: [v * 0 for v in variables]",
        "0.00 0.00",
        check="training.learns",
    ),
    broken(
        "torchvision",
        "torchvision/ops/boxes.py",
        "nms = lambda boxes, scores, limit: scores.argsort()",
        "[2, 1, 0]",
        on="torch:2.3.1-cuda12.1",
        check="training.learns",
    ),
    broken(
        "torchaudio",
        "torchaudio/functional/functional.py",
        "resample = lambda wave, *_: wave",
        "(1, 1600)",
        on="torch:2.3.1-cuda12.1",
        check="training.learns",
    ),
)
