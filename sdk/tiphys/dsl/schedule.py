"""When a pipeline is started by a schedule: the part of a CronWorkflow that is not the workflow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from tiphys.argo import cron
from tiphys.compiler.line import Site
from tiphys.dsl.durations import whole_seconds
from tiphys.errors import DefinitionError, did_you_mean
from tiphys.expr.evaluate import compile_expression
from tiphys.expr.lexer import ExprError

if TYPE_CHECKING:
    from tiphys.argo.types import CronWorkflowSpec

__all__ = ["CronOptions", "Overlap"]

Overlap = Literal["forbid", "replace", "allow"]
_OVERLAPS = {"forbid": "Forbid", "replace": "Replace", "allow": "Allow"}


class CronOptions(NamedTuple):
    """What ``Pipeline.as_cron`` is given, which says what each means."""

    schedules: tuple[str, ...]
    timezone: str = ""
    suspend: bool = False
    overlap: Overlap = "forbid"
    starting_deadline: str | timedelta | None = None
    keep_succeeded: int | None = None
    keep_failed: int | None = None
    when: str = ""
    stop_when: str = ""

    def spec(self, site: Site) -> CronWorkflowSpec:
        """The spec without its workflow. Raises DefinitionError: TIP105, TIP109, TIP115."""
        for error in self._wrong():
            error.where = str(site)
            raise error
        spec: CronWorkflowSpec = {
            "schedules": list(self.schedules),
            "concurrencyPolicy": _OVERLAPS[self.overlap],
        }
        if self.timezone:
            spec["timezone"] = self.timezone
        if self.suspend:
            spec["suspend"] = True
        if self.starting_deadline is not None:
            spec["startingDeadlineSeconds"] = whole_seconds(self.starting_deadline, "starting_deadline", site)
        if self.keep_succeeded is not None:
            spec["successfulJobsHistoryLimit"] = self.keep_succeeded
        if self.keep_failed is not None:
            spec["failedJobsHistoryLimit"] = self.keep_failed
        if self.when:
            spec["when"] = "{{= " + self.when + " }}"
        if self.stop_when:
            spec["stopStrategy"] = {"expression": self.stop_when}
        return spec

    def _wrong(self) -> Iterator[DefinitionError]:
        if wrong := cron.zone_problem(self.timezone):
            yield DefinitionError(
                "TIP109",
                f"{self.timezone!r} is not a time zone.{did_you_mean(self.timezone, cron.zones())}",
                cause=wrong,
                fix='give a name of the IANA data base, for example "Europe/Berlin"',
            )
        for schedule in self.schedules or ("",):
            if not isinstance(schedule, str):
                wrong = f"it is {type(schedule).__name__}"
            else:
                wrong = cron.problem(schedule) or cron.problem(schedule, self.timezone)
            if wrong:
                yield DefinitionError(
                    "TIP109",
                    f"{schedule!r} is not a schedule",
                    cause=wrong,
                    fix='give five fields, for example "0 3 * * *", or "@daily"; several one after the other',
                )
        if self.overlap not in _OVERLAPS:
            yield DefinitionError(
                "TIP105",
                f"overlap={self.overlap!r}.{did_you_mean(str(self.overlap).lower(), _OVERLAPS)}",
                fix=f"one of {', '.join(_OVERLAPS)}",
            )
        if not isinstance(self.suspend, bool):
            yield DefinitionError("TIP105", f"suspend={self.suspend!r}", fix="give True or False")
        for name in ("keep_succeeded", "keep_failed"):
            number = getattr(self, name)
            if number is not None and not (type(number) is int and number >= 0):
                yield DefinitionError(
                    "TIP109", f"{name}={number!r}", fix="give a number of runs; 0 keeps none of them"
                )
        for name in ("when", "stop_when"):
            if text := getattr(self, name):
                yield from _unread(name, text)


def _unread(name: str, text: object) -> Iterator[DefinitionError]:
    """What is wrong with an expression over ``cronworkflow``."""
    fix = f'write an expression without braces, for example {name}="cronworkflow.failed < 3"'
    if not isinstance(text, str) or "{{" in text:
        yield DefinitionError("TIP109", f"{name}={text!r}", fix=fix)
        return
    try:
        compile_expression(text)
    except ExprError as error:
        yield DefinitionError("TIP109", f"{name}={text!r} cannot be read: {error}", fix=fix)
