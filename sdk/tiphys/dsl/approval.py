"""A person's answer as a step: the run waits until somebody lets it go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from tiphys.compiler.line import Site, caller
from tiphys.dsl.composed import guard
from tiphys.dsl.context import CallableTemplate
from tiphys.dsl.durations import go_duration
from tiphys.dsl.names import check_name
from tiphys.dsl.pod import Defaults
from tiphys.dsl.task import Task
from tiphys.dsl.types import Field
from tiphys.errors import DefinitionError, did_you_mean
from tiphys.jsontypes import JsonObject

if TYPE_CHECKING:
    from tiphys.argo.types import Parameter, Template

__all__ = ["Approval", "approve"]

_ANSWER = "answer"


class Approval(CallableTemplate):
    """A suspend template. Make a task of one with :func:`approve`."""

    def __init__(
        self, name: str, question: str, answers: tuple[str, ...], default: str, after: str, site: Site
    ) -> None:
        kind: Any = Literal[answers] if answers else str
        outputs = [Field(_ANSWER, _ANSWER, kind)] if answers else []
        super().__init__(name, [], outputs, site=site)
        self.question = guard(question, "the question of approve", site)
        self.answers, self.default, self.after = answers, default, after

    def body(self, defaults: Defaults) -> JsonObject:
        template: Template = {"name": self.name}
        if self.question:
            template["annotations"] = {"workflows.argoproj.io/description": self.question}
        template["suspend"] = {"duration": self.after} if self.after else {}
        if self.answers:
            # an input of the same name is how the Argo UI knows what may be chosen
            asked: Parameter = {"name": _ANSWER, "enum": list(self.answers)}
            given: Parameter = {"name": _ANSWER, "valueFrom": {"supplied": {}}}
            asked["default"] = self.default or self.answers[0]
            if self.question:
                asked["description"] = self.question
            if self.after:
                given["valueFrom"]["default"] = self.default
            template["inputs"], template["outputs"] = {"parameters": [asked]}, {"parameters": [given]}
        return cast("JsonObject", template)


def approve(
    question: str = "",
    *,
    answers: Sequence[str] = (),
    after: str | timedelta | None = None,
    default: str = "",
    name: str = "approve",
) -> Task:
    """Wait here until somebody says yes: ``tiphys resume RUN``, ``argo resume``, or the button of the Argo UI.

    ``approve("Deploy?")`` goes on when it is resumed; ``argo stop --node-field-selector displayName=approve`` is a no,
    and fails it. With ``answers=("yes", "no")`` the task has an output ``answer``, one of them, to be asked with
    ``.when(task.answer == "yes")``. ``after="1h"``: go on by itself then, with the answer ``default``.

    Raises DefinitionError: TIP104 no default for who does not answer, TIP105 what is no answer, TIP115 not a duration.
    """
    site = caller()
    check_name(name, "a task", site)
    given = (answers,) if isinstance(answers, str) else tuple(answers)
    if not all(isinstance(each, str) and each for each in given) or len(set(given)) != len(given):
        raise DefinitionError(
            "TIP105",
            f"approve: the answers are {answers!r}",
            where=str(site),
            fix='write different words: answers=("yes", "no")',
        )
    if default and default not in given:
        raise DefinitionError(
            "TIP105",
            f"approve: the default {default!r} is no answer.{did_you_mean(default, given)}",
            where=str(site),
            fix=f"answers are: {', '.join(given) or 'none; give answers=(…)'}",
        )
    if given and after is not None and not default:
        raise DefinitionError(
            "TIP104",
            "approve goes on by itself, and nobody says with which answer",
            where=str(site),
            fix=f'give default="{given[-1]}"',
        )
    waits = "" if after is None else go_duration(after, "after", site)
    task: Task = Approval(name, question, given, default, waits, site)()
    return task
