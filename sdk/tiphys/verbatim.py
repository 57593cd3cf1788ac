"""Text that neither Argo nor the kubelet takes for its own.

Argo reads the output of a step for ``{{tags}}`` once more when it is the argument of another, and evaluates
``{{=expressions}}`` in it (CVE-2021-37914); the kubelet replaces ``$(NAME)`` and ``$$`` in the environment of a
container, and spoils what follows a dollar sign outside of ASCII. There is no way to quote a value for both. So a
component writes a mark between such signs, and the component that takes the value takes it out again: after a brace a
word joiner (U+2060, which has no width), after a dollar sign a tilde (it must be ASCII, and printable: Argo makes no
JSON of others in the items of a loop). That holds at any depth of JSON, and for the items of a loop.

Sources: seen on the real 4.0.5 and its kubelet;
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables
"""

from __future__ import annotations

import re

from tiphys.lazy import regex

__all__ = ["PARTED", "REJOINED", "SPOILED", "parted", "rejoined"]

PARTED = (
    (r"\{(?=[\u2060{]|\Z)", "{\u2060"),
    (r"[$](?=[(~\x7f-\U0010ffff$]|\Z)", "$~"),
)
"""What ``re.sub`` replaces, and by what: a sign gets another one where it would mean something, or has one already; at
the end, too, since something may be put there."""
REJOINED = (("{\u2060", "{"), ("$~", "$"))
"""What ``str.replace`` replaces on the way back."""
SPOILED = regex(r"\{\{|[$](?:[($]|[^\x00-\x7f])")
"""What a text must not hold that stays as it is on its way."""


def parted(text: str) -> str:
    """The text without anything that would be replaced on its way."""
    for pattern, by in PARTED:
        text = re.sub(pattern, by, text)
    return text


def rejoined(text: str) -> str:
    """What :func:`parted` was given."""
    for mark, sign in REJOINED:
        text = text.replace(mark, sign)
    return text
