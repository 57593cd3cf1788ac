"""Findings as text, JSON, SARIF 2.1.0 and GitHub annotations."""

from __future__ import annotations

import json

from tiphys.lint.finding import Finding
from tiphys.lint.registry import catalogue
from tiphys.terminal import plain

__all__ = ["FORMATS", "render"]

FORMATS = ("text", "json", "sarif", "github")
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def render(findings: list[Finding], form: str = "text", *, color: bool = False) -> str:
    """Return the findings in one of :data:`FORMATS`; the text ends with a line break unless it is empty."""
    if form == "json":
        return json.dumps([finding.to_json() for finding in findings], indent=2) + "\n"
    if form == "sarif":
        return json.dumps(_sarif(findings), indent=2) + "\n"
    if form == "github":
        return "".join(_github(finding) for finding in findings)
    return _text(findings, color)


def _text(findings: list[Finding], color: bool) -> str:
    paint = {"error": "31", "warning": "33", "info": "36"}
    lines: list[str] = []
    for finding in findings:
        severity = finding.severity
        if color:
            severity = f"\033[{paint[severity]}m{severity}\033[0m"  # type: ignore[assignment]
        lines.append(
            f"{plain(finding.file)}:{finding.line}:{finding.column}: {severity} {finding.code} "
            f"{plain(finding.message)}"
        )
        if finding.cause:
            lines.append(f"    why: {plain(finding.cause)}")
        if finding.fix:
            lines.append(f"    fix: {plain(finding.fix)}")
        if finding.python_file:
            lines.append(f"    made by: {finding.python_file}:{finding.python_line}")
    return "\n".join(lines) + "\n" if lines else ""


def _github(finding: Finding) -> str:
    level = {"info": "notice"}.get(finding.severity, finding.severity)

    def escape(text: str, extra: str = "") -> str:
        for letter in "%\r\n" + extra:
            text = text.replace(letter, f"%{ord(letter):02X}")
        return text

    place = f"file={escape(finding.file, ',:')},line={finding.line},col={finding.column}"
    message = finding.message + (f"\nfix: {finding.fix}" if finding.fix else "")
    return f"::{level} {place},title={finding.code}::{escape(message)}\n"


def _sarif(findings: list[Finding]) -> dict[str, object]:
    used = sorted({finding.code for finding in findings})
    rules = [
        {
            "id": code,
            "name": catalogue[code].name,
            "shortDescription": {"text": catalogue[code].what},
            "fullDescription": {"text": catalogue[code].why},
            "defaultConfiguration": {"level": _LEVELS[catalogue[code].severity]},
        }
        for code in used
        if code in catalogue
    ]
    results = [
        {
            "ruleId": finding.code,
            "level": _LEVELS[finding.severity],
            "message": {"text": finding.message + (f" ({finding.fix})" if finding.fix else "")},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": finding.file.replace("\\", "/")},
                        "region": {"startLine": finding.line, "startColumn": finding.column},
                    },
                    "logicalLocations": [{"fullyQualifiedName": f"{finding.object}:{finding.path}"}],
                }
            ],
        }
        for finding in findings
    ]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "tiphys", "rules": rules}}, "results": results}],
    }
