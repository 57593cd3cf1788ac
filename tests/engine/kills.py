"""Kills engines and keepers at random moments and goes on: the program of test_random_kills.py.

Run: python -m tests.engine.kills FOLDER ROUNDS SEED [RUNNER]. Engines are forks of this process, which has everything
loaded. What it saw is printed as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from tests.engine.harness import dag, shell, workflow
from tiphys.engine import RunOptions, resume, run
from tiphys.engine.pods import containers  # noqa: F401 - loaded before the forks
from tiphys.engine.runners import sandbox  # noqa: F401
from tiphys.errors import RefusedError, TiphysError
from tiphys.queue.locks import Granted, Locks

NOTES = {"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}


def body(seconds: str, more: str = "") -> str:
    return (
        'echo "$NAME" >> /notes/began; echo "log of $NAME"; '
        f'sleep {seconds}; {more} echo "$NAME" >> /notes/ended; echo "out of $NAME"'
    )


def leaf(name: str, seconds: str = "0.1", more: str = "", **rest: Any) -> dict[str, Any]:
    made = shell(name, body(seconds, more), inputs={"parameters": [{"name": "n"}]}, **rest)
    made["container"]["env"] = [{"name": "NAME", "value": "{{inputs.parameters.n}}"}]
    made["container"]["volumeMounts"] = [{"name": "notes", "mountPath": "/notes"}]
    return made


def call(name: str, template: str = "leaf", value: str = "", **rest: Any) -> dict[str, Any]:
    arguments = {"parameters": [{"name": "n", "value": value or name}], **rest.pop("more", {})}
    return {"name": name, "template": template, "arguments": arguments, **rest}


def flows() -> dict[str, dict[str, Any]]:
    """Small and varied, each well under a second where nobody is killed."""
    found: dict[str, dict[str, Any]] = {}
    found["dag"] = workflow(
        dag(
            call("a"),
            call("b", depends="a"),
            call("c", depends="a"),
            call("d", depends="b && c", value="{{tasks.b.outputs.result}}"),
        ),
        leaf("leaf"),
    )
    loop = call("x", withSequence={"count": "8"}, value="x{{item}}")
    found["loop"] = workflow({"name": "main", "steps": [[loop], [call("z")]]}, leaf("leaf"))
    again = "if [ '{{retries}}' -lt 1 ]; then echo again-{{retries}} >> /notes/ended; exit 3; fi;"
    found["retry"] = workflow(
        dag(call("a", "again"), call("z", depends="a")),
        leaf("again", more=again, retryStrategy={"limit": "3"}),
        leaf("leaf"),
    )
    found["mutex"] = workflow(
        {"name": "main", "steps": [[call("x", withSequence={"count": "3"}, value="x{{item}}")]]},
        leaf("leaf", synchronization={"mutexes": [{"name": "m"}]}),
    )
    maker = leaf("maker", more="mkdir -p /tmp/o; echo hello > /tmp/o/f;")
    maker["outputs"] = {"artifacts": [{"name": "o", "path": "/tmp/o"}]}
    user = leaf("user", more="test $(cat /tmp/i/f) = hello || exit 5; cp /tmp/i/f /tmp/v;")
    user["inputs"]["artifacts"] = [{"name": "i", "path": "/tmp/i"}]
    user["outputs"] = {"parameters": [{"name": "v", "valueFrom": {"path": "/tmp/v"}}]}
    given = {"artifacts": [{"name": "i", "from": "{{tasks.a.outputs.artifacts.o}}"}]}
    found["artifact"] = workflow(
        dag(call("a", "maker"), call("b", "user", depends="a", more=given)), maker, user
    )
    found["failing"] = workflow(
        {"name": "main", "steps": [[call("a")], [call("b", "bad")], [call("never")]]},
        leaf("leaf"),
        leaf("bad", more='echo "$NAME" >> /notes/ended; exit 4;'),
        onExit="after",
    )
    found["failing"]["spec"]["templates"].append(
        {"name": "after", "steps": [[call("last", when="{{workflow.status}} == Failed")]]}
    )
    side = leaf("side", "0.2")
    side["sidecars"] = [{"name": "s", "image": "tiphys/step:test", "command": ["sleep", "1000"]}]
    found["sidecar"] = workflow(dag(call("a", "side"), call("b", "side", depends="a")), side)
    for flow in found.values():
        flow["spec"]["volumes"] = [NOTES]
    return found


def tree(folder: Path) -> Any:
    """What is the same however often the engine was killed."""
    status = json.loads((folder / "workflow.json").read_text())["status"]
    names = {key: node["name"] for key, node in status["nodes"].items()}
    nodes = []
    for key, node in status["nodes"].items():
        outputs = node.get("outputs") or {}
        log = folder / "logs" / f"{key}.log"
        nodes.append(
            [
                *(node["name"], node["type"], node["phase"], node.get("message", "")),
                *(outputs.get("parameters"), outputs.get("result"), outputs.get("exitCode")),
                sorted(names[child] for child in node.get("children") or ()),
                log.read_text() if log.exists() else None,
            ]
        )
    return [status["phase"], status.get("message", ""), sorted(nodes, key=str)]


def fork(work: Any, errors: Path) -> int:
    """An engine in a process of its own."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        work()
        os._exit(0)
    except RefusedError as error:
        sys.stderr.write(f"{error}\n")
        os._exit(3 if error.code in ("TIP212", "TIP226", "TIP211") else 1)
    except TiphysError as error:
        sys.stderr.write(f"{error}\n")
        os._exit(2)
    except BaseException:  # noqa: BLE001 - a fork must not go on as its parent
        traceback.print_exc()
        os._exit(1)


def await_end(pid: int, seconds: float) -> int | None:
    """The exit code, or None when it is not over."""
    until = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            return None
        time.sleep(0.002)


def marked(store: Path) -> dict[int, str]:
    """The processes that have to do with a store: steps, keepers."""
    found = {}
    word = str(store).encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            links = [os.readlink(f"/proc/{pid}/fd/{each}") for each in os.listdir(f"/proc/{pid}/fd")]
            if b"_keeper.py" in line and any(str(store) in link for link in links):
                found[int(pid)] = "keeper"
            elif word in Path(f"/proc/{pid}/environ").read_bytes() and int(pid) != os.getpid():
                found[int(pid)] = line.decode(errors="replace")
        except OSError:
            continue
    return found


def lines(store: Path, name: str) -> Counter[str]:
    file = store / "volumes" / "notes" / name
    return Counter(file.read_text().split("\n")[:-1]) if file.exists() else Counter()


def one(
    flow: dict[str, Any], store: Path, chance: random.Random, length: float, runner: Any, what: str
) -> None:
    """Begin a run, and kill its engine (or keeper; or ``none``) until it comes to an end."""
    (store / "volumes" / "notes").mkdir(parents=True)
    options = RunOptions(
        store=store, name="wf", runner=runner, handle_signals=False, env={"STORE": str(store)}
    )
    kills = 0
    for attempt in range(12):
        begun = (store / "runs" / "wf" / "journal.db").exists()

        def work(begun: bool = begun) -> None:
            if begun:
                resume("wf", options=options)
            else:
                run(flow, options=options, invalid="")

        pid = fork(work, store / "errors")
        wanted = chance.choice((1, 1, 2)) if what == "engine" else int(what != "none")
        code = await_end(pid, chance.uniform(0, length) if kills < wanted else 40)
        if code is None:
            kills += 1
            keepers = [each for each, kind in sorted(marked(store).items()) if kind == "keeper"]
            if what == "engine" or not keepers:
                if chance.random() < 0.3:  # it hears of nothing any more, and its steps go on
                    os.kill(pid, signal.SIGSTOP)
                    time.sleep(0.3)
                os.kill(pid, signal.SIGKILL)
            else:
                with contextlib.suppress(ProcessLookupError):  # it was about to end
                    os.kill(keepers[0 if what == "guard" else -1], signal.SIGKILL)
            code = await_end(pid, 40)
            assert code is not None, "the engine does not end"
            if chance.random() < 0.3:
                time.sleep(0.3)
        if code == 3 and not (store / "runs" / "wf" / "workflow.json").exists():
            for file in ("journal.db", "journal.db-wal", "journal.db-shm"):  # killed before it began
                (store / "runs" / "wf" / file).unlink(missing_ok=True)
        if (store / "runs" / "wf" / "workflow.json").exists():
            return
        assert code != 1, (store / "errors").read_text()[-2000:]
        assert attempt < 11, (store / "errors").read_text()[-2000:]


def main(folder: Path, rounds: int, seed: int, runner: str) -> None:
    chance = random.Random(seed)
    base, seconds = {}, {}
    for name, flow in flows().items():
        store = folder / f"base-{name}"
        began = time.monotonic()
        one(flow, store, chance, 40, runner, "none")
        seconds[name] = time.monotonic() - began
        base[name] = tree(store / "runs" / "wf"), lines(store, "ended"), lines(store, "began")
    wrong: list[object] = []
    seen: Counter[str] = Counter()
    for number in range(rounds):
        name = chance.choice(sorted(base))
        what = chance.choice(("engine", "engine", "engine", "keeper", "guard"))
        store = folder / f"{number}-{what}-{name}"
        try:
            one(flows()[name], store, chance, seconds[name], runner, what)
        except AssertionError as error:
            wrong.append([str(store), "no end", str(error)])
            continue
        seen[what] += 1
        expected, ended, began_ = base[name]
        found = tree(store / "runs" / "wf")
        if what == "engine":  # a step that a killed keeper took with it runs again
            if found != expected:
                wrong.append([str(store), "tree", found, expected])
            if lines(store, "began") != began_:
                wrong.append([str(store), "began", lines(store, "began") - began_])
        elif [each[:-1] for each in found[2]] != [each[:-1] for each in expected[2]]:
            wrong.append([str(store), "tree", found, expected])
        if (what == "engine" and lines(store, "ended") != ended) or ended - lines(store, "ended"):
            wrong.append([str(store), "ended", lines(store, "ended") - ended, ended - lines(store, "ended")])
        until = time.monotonic() + 10
        while (left := marked(store)) and time.monotonic() < until:
            time.sleep(0.02)
        if left:
            wrong.append([str(store), "orphans", left])
        if (store / "locks.db").exists():  # what a dead engine left there is void
            table = Locks(store / "locks.db")
            if not isinstance(table.acquire("next", ["argo/Mutex/m"], workflow="next", limits={}), Granted):
                wrong.append([str(store), "a lock is held", str(table.table())])
            table.close()
        temporary = [str(path) for path in store.rglob("*") if path.name.endswith(".tmp")]
        if temporary and what == "engine":
            wrong.append([str(store), "temporary files", temporary])
    sys.stdout.write(json.dumps({"seen": seen, "wrong": wrong}))


if __name__ == "__main__":
    main(
        Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "process"
    )
