"""The causes that Argo itself can tell from one another, as it is told in a ``retryStrategy.expression``.

Argo knows of the last attempt its phase, its message and the exit code of ``main`` ("-1": none): less than
:func:`tiphys.causes.rules.cause_of` is told. The words are the same.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["KILLED", "OOM", "WORDS", "retried"]

KILLED = (137, 143)
"""Exit codes of SIGKILL and SIGTERM: somebody outside ended the program."""

WORDS: Mapping[str, str] = {
    "oom": r"OOMKilled",
    "timeout": "^timeout$|exceeded its deadline|exceeded workflow deadline|longer than (the )?specified"
    "|[Dd]eadlineExceeded|Max duration limit exceeded",
    "disk_full": "TIP707|No space left on device|Disk quota exceeded|ephemeral.*storage|Usage of EmptyDir|DiskPressure",
    "node_lost": r"node shutdown|NodeLost|is unresponsive|[Nn]ode.* not ready",
    "preempted": r"[Pp]reempt|low on resource|[Ee]victed|pod deleted|context canceled",
}
"""What the message of each of them has, as a pattern that Go and Python read alike; in the order in which they are
asked."""


def _says(*kinds: str) -> str:
    return f"lastRetry.message matches '{'|'.join(WORDS[kind] for kind in kinds)}'"


OOM = _says("oom")


def retried(budgets: Mapping[str, int]) -> str:
    """The expression that lets an attempt follow while fewer than ``budgets[cause]`` have been repeated."""
    tests = []
    kinds = list(WORDS)
    for kind in sorted(budgets, key=kinds.index):
        most = budgets[kind]
        earlier = [each for each in kinds[: kinds.index(kind)] if budgets.get(each, 0) < most]
        test = _says(kind)
        if kind == "preempted":
            codes = ", ".join(f"'{code}'" for code in KILLED)
            test = f"({test} || lastRetry.exitCode in [{codes}])"
        if earlier:
            test = f"not ({_says(*earlier)}) && {test}"
        tests.append(f"({test} && asInt(retries) < {most})")
    return " || ".join(tests)
