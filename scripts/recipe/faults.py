"""What is wrong with a version manifest, in sentences with a key path: ``image[2].args.X: expected a string, ...``."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from scripts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails


class ManifestError(UsageError):
    """A version manifest has faults; the message has a line for each."""

    def __init__(self, where: str, faults: Sequence[str]) -> None:
        super().__init__("\n".join(f"{where}: {fault}" for fault in faults))
        self.faults = tuple(faults)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``, did you mean "x"?`` with the nearest known name, or ``; known: a, b`` where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f', did you mean "{near[0]}"?'
    return f"; known: {', '.join(names)}" if names else ""


def key_path(location: Sequence[str | int]) -> str:
    """A location as TOML writes it: ``image[2].args.TORCH_VERSION`` (index from 0)."""
    path = ""
    for part in location:
        if part == "[key]":
            continue
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def describe(error: ValidationError, model: type[BaseModel], wanted: Mapping[str, str]) -> list[str]:
    """One sentence a fault, in the order of the file's keys.

    :param model: the model that was validated; its field names are what an unknown key is compared with.
    :param wanted: what a text that does not match a pattern is told to be, by pattern.
    """
    return [
        f"{key_path(detail['loc'])}: {_sentence(detail, model, wanted)}"
        for detail in error.errors()
        if not (detail["type"] == "too_short" and detail["input"])  # its items are at fault, and have been named
    ]


_SENTENCES = {
    "missing": "missing, and it has no default",
    "too_short": "expected at least one, got none",
    "string_too_short": "expected some text, got none",
}
_EXPECTED = {
    "string_type": "a string",
    "bool_type": "true or false",
    "tuple_type": "an array",
    "dict_type": "a table",
    "model_type": "a table",
    "date_type": "a date such as 2025-10-31",
    "date_from_datetime_parsing": "a date such as 2025-10-31",
}


def _sentence(detail: ErrorDetails, model: type[BaseModel], wanted: Mapping[str, str]) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return f"unknown key{did_you_mean(str(detail['loc'][-1]), _known_keys(model, detail['loc'][:-1]))}"
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind in _EXPECTED:
        hint = " (quote it)" if kind == "string_type" and isinstance(value, (int, float)) else ""
        return f"expected {_EXPECTED[kind]}, got {_shown(value)}{hint}"
    if kind == "string_pattern_mismatch":
        return f"{value!r}: expected {wanted[detail['ctx']['pattern']]}"
    if kind == "enum":
        return f"expected {detail['ctx']['expected']}, got {value!r}"
    return detail["msg"].removeprefix("Value error, ")


def _shown(value: object) -> str:
    name = {"dict": "a table", "list": "an array", "bool": "boolean", "int": "integer", "str": "string"}.get(
        type(value).__name__, type(value).__name__
    )
    if isinstance(value, bool):
        return f"{name} {str(value).lower()}"
    return name if isinstance(value, (dict, list)) else f"{name} {value}"


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Field names of the table at ``location``, found by walking the model's own annotations."""
    current: Any = model
    for part in location:
        # An index, or a key that is a name and no field (stages.NAME), stays in the type that was found.
        if isinstance(part, str) and part in current.model_fields:
            current = _table_type(current.model_fields[part].annotation) or current
    return list(current.model_fields)


def _table_type(annotation: Any) -> Any:
    if hasattr(annotation, "model_fields"):
        return annotation
    found = [_table_type(argument) for argument in getattr(annotation, "__args__", ())]
    return next((table for table in found if table is not None), None)
