"""What a Workflow tells of its locks: the shapes are those of SemaphoreStatus and MutexStatus of Argo 4.0.5."""

from __future__ import annotations

from tiphys.engine.machine.synchronization import LockBook

LIMIT, MUTEX = "argo/ConfigMap/site/gang", "argo/Mutex/one"


def test_nothing_is_told_of_no_locks() -> None:
    book = LockBook()
    assert book.status() is None
    book.grant("unknown")
    book.drop("unknown")
    assert book.status() is None


def test_who_waits_and_who_holds() -> None:
    book = LockBook()
    book.ask("a", "argo/wf/wf.a", (LIMIT, MUTEX))
    book.ask("b", "argo/wf/wf.b", (LIMIT,))
    book.ask("c", "argo/wf/wf.c", (LIMIT,))
    assert book.status() == {
        "semaphore": {"waiting": [{"semaphore": LIMIT}]},
        "mutex": {"waiting": [{"mutex": MUTEX}]},
    }
    book.grant("a")
    book.grant("b")
    assert book.status() == {
        "semaphore": {
            "holding": [{"semaphore": LIMIT, "holders": ["argo/wf/wf.a", "argo/wf/wf.b"]}],
            "waiting": [{"semaphore": LIMIT}],
        },
        "mutex": {"holding": [{"mutex": MUTEX, "holder": "argo/wf/wf.a"}]},
    }
    for node in ("a", "b", "c"):
        book.drop(node)
    assert book.status() is None


def test_the_workflow_itself() -> None:
    book = LockBook()
    book.ask("", "argo/wf", (MUTEX,))
    book.grant("")
    assert book.status() == {"mutex": {"holding": [{"mutex": MUTEX, "holder": "argo/wf"}]}}
