"""Why a case does not agree, where there is a reason that cannot, or will not, be removed here."""

from __future__ import annotations

__all__ = ["ARGO40", "KNOWN", "OWN", "OWN_RUN", "REASONS", "SEEDS"]

KNOWN: dict[str, str] = {
    "1aa6820f13": "whether a stopped task still gets its exit handler is a race (Argo skips this test)",
    "3d7ceea9a2": "the record's pods were still pulling images when the timeout passed",
    "e51e2384d7": "how many attempts fit into backoff.maxDuration depends on how fast pods start (unstable)",
    "ab792fa8e5": "the cluster's service account may not create what the case creates",
}
"""Cases whose replay through the core differs."""

REASONS: dict[str, str] = {
    **KNOWN,
    "d366d258af": "the cluster refuses the pod for a PriorityClass that it does not have",
    "1095d6f74c": "the cluster refuses the pod for an artifact driver that it does not have",
    "eb30575980": "memory limits are not enforced on this machine",
    "fba79d28d0": "nslookup is not installed here, and host aliases are a matter of the pod's network",
    "8d2b210e27": "nslookup is not installed here, and host aliases are a matter of the pod's network",
    "9134381377": "nslookup is not installed here, and host aliases are a matter of the pod's network",
}
"""Cases whose run on this machine differs."""

OWN: dict[str, str] = {
    "deadline-template-bad": "validation does not follow a parameter's value into activeDeadlineSeconds",
}
"""Own cases whose replay through the core differs."""

OWN_RUN: dict[str, str] = {
    **OWN,
    "daemon-fails": "a daemon without a probe counts as up here before it ends; on a cluster it ends first",
}
"""Own cases whose run on this machine differs."""

SEEDS: dict[int, str] = {
    394: "whether the controller comes back to a loop that ended in the walk it began in depends on its other work",
    431: "whether the controller comes back to a task in error depends on its other work",
    20080: "validation of a global output that only a later task exports",
    20309: "validation begins with any of the tasks that are wrong",
    **dict.fromkeys(
        (20263, 20269, 20281), "a value that holds half a tag: the controller reads on behind it"
    ),
    20347: "how much of a DAG begins in the walk that gives it up",
}
"""Random workflows whose outcome differs, or has no fixed one."""

ARGO40: dict[str, str] = {
    **dict.fromkeys(
        ("loop-with-hooks-and-onexit", "ref-template"),
        "when an item of a loop went wrong, 4.0 starts the exit handler of the loop as a whole, too",
    ),
    "expr-sprig-text": "words of a sprig function that is called with too few arguments",
    "timeout-bad": "words of a timeout that cannot be read",
}
"""Cases on which 4.0.5 and 4.1.2 differ, and `--argo 4.0` does as 4.1."""
