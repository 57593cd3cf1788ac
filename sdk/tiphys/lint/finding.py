"""What a rule finds: one finding, with its place, cause and fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tiphys.notebook import badge, facts, fragment, rows, text

if TYPE_CHECKING:
    from tiphys.jsontypes import Json

__all__ = ["Finding", "Severity", "dotted"]

Severity = Literal["error", "warning", "info"]


class Finding(NamedTuple):
    """One finding.

    ``error`` is what ``argo lint --strict`` rejects (``argo`` is true) or what was seen to fail at run time;
    ``warning`` is likely wrong or unsafe; ``info`` is advice. ``line`` and ``column`` count from 1. ``path``
    is the place in the object (``spec.templates[0].name``), ``object`` is ``Kind/name``. ``python_file`` and
    ``python_line`` name the Python that made it, where the pipeline recorded that. ``steps`` and ``document`` say once
    more where it is; two findings that differ in these alone are equal.
    """

    code: str
    severity: Severity
    message: str
    fix: str = ""
    file: str = ""
    path: str = ""
    line: int = 1
    column: int = 1
    cause: str = ""
    near: tuple[str, ...] = ()
    object: str = ""
    argo: bool = False
    python_file: str = ""
    python_line: int = 0
    steps: tuple[str | int, ...] = ()
    document: int = 0

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Finding) and self[:-2] == other[:-2]

    def __ne__(self, other: Any) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:-2])

    def __repr__(self) -> str:
        told = zip(self._fields[:-2], self, strict=False)
        return f"Finding({', '.join(f'{name}={value!r}' for name, value in told)})"

    def to_json(self) -> dict[str, Json]:
        """Return the finding as ``tiphys lint --json`` prints it."""
        data: dict[str, Json] = {
            "file": self.file,
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "fix": self.fix,
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "object": self.object,
            "cause": self.cause,
            "near": list(self.near),
            "argo": self.argo,
        }
        if self.python_file:
            data["python"] = {"file": self.python_file, "line": self.python_line}
        return data

    def _repr_html_(self) -> str:
        """What is wrong, where, and what to do, for a notebook."""
        python = f"{self.python_file}:{self.python_line}" if self.python_file else ""
        place = f"{self.file}:{self.line}:{self.column}" if self.file else ""
        lines = [("cause", self.cause), ("fix", self.fix), ("known", ", ".join(self.near))]
        return fragment(
            f"<div>{badge(self.severity)} <b>{text(self.code)}</b> {text(self.message, 2000)}</div>",
            facts([("in", self.object), ("at", self.path), ("file", place), ("Python", python)]),
            rows(("", ""), [(text(name), text(value, 2000)) for name, value in lines if value]),
        )

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity} {self.code} {self.message}"


def dotted(path: tuple[str | int, ...]) -> str:
    """Return a path as it is written: ``spec.templates[0].name``; odd keys in brackets."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and not any(letter in step for letter in ".[]/ "):
            text += f".{step}" if text else step
        else:
            text += f"['{step}']"
    return text
