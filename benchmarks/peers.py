"""tiphys beside other tools, each in an environment of its own: a chain of 10, a fan-out of 100, a run of hits alone.

    python benchmarks/peers.py [--environments DIR] [--rounds 3] [--tools tiphys,kfp] [--json FILE]
    eval "$(../shared/cluster/cluster env)"; python benchmarks/peers.py --argo [--json FILE]

A step adds one to a number, of a chain to what the step before returned; of a fan-out a last step takes the sum. The
programs are in benchmarks/flows, each as the tool's own pages write such a thing. What is measured is the whole command
that a user types: wall time, and CPU time with all that it starts. The tools take turns within a round; told is the
median of the rounds, after one that is not counted (byte code, data bases, and what the hits hit). Each tool runs as
many steps at once as it does by itself. A tool that cannot be installed, or a run that fails or takes more than ten
minutes, is told of, and the others go on; the results are written after each round.

``--argo``: Argo itself, on the cluster that kubectl and argo know, with the YAML that tiphys compiles; the image
python:3.11-slim is to be on its nodes (``cluster base``). CPU is that of the workflow controller alone, where it is a
process of this machine: pods, kubelet and API server are not counted. What is in FILE of the other kind stays.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

from benchmarks.costs import Cost, cost  # noqa: E402
from benchmarks.results import about, write  # noqa: E402

FLOWS = ROOT / "benchmarks" / "flows"
SHAPES = {"chain": "a chain of 10", "fan_out": "a fan-out of 100", "hits": "the fan-out, all hits"}
LIMIT = 600.0
OURS = "tiphys-peers=yes"  # the label of what is made on a cluster
QUIET = {
    "DO_NOT_TRACK": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "USERNAME": "bench",  # Metaflow asks for a name
}


@dataclass(frozen=True)
class Peer:
    """``commands``: what is run for each shape, with {bin}, {flows} and {work} (a folder of its own) put in.

    ``package`` is what pip installs, ``isolates`` what a step runs in, ``caching`` why there are no hits.
    """

    name: str
    isolates: str
    commands: Mapping[str, str]
    package: str = ""
    caching: str = ""


def _each(command: str, *names: str) -> dict[str, str]:
    return {name: command.replace("SHAPE", name) for name in names}


_TIPHYS = "{bin}/python -m tiphys run %s --image *=host --store {work}/store"
PEERS = (
    Peer(
        "bare loop",
        "a Python for each step, `python -c`, as many at once as there are cores",
        _each("{bin}/python {flows}/flow_bare.py SHAPE", "chain", "fan_out"),
        caching="none: it is the floor",
    ),
    Peer(
        "tiphys",
        "a process for each step",
        _each(_TIPHYS % "benchmarks.flows.flow_tiphys:SHAPE", *SHAPES),
    ),
    Peer(
        "tiphys, compiled before",
        "a process for each step",
        _each(_TIPHYS % "{work}/SHAPE.yaml", *SHAPES),
    ),
    Peer(
        "tiphys, a command a step",
        "a process for each step: `sh`, as in a container",
        {
            name: _TIPHYS % f"benchmarks.flows.flow_tiphys:{name}_commands"
            for name in ("chain", "fan_out")
        },
        caching="not measured: as above",
    ),
    Peer(
        "KFP local",
        "a Python for each step (SubprocessRunner, no virtual environment)",
        _each("{bin}/python {flows}/flow_kfp.py SHAPE {work}", *SHAPES),
        package="kfp==2.17.3",
    ),
    Peer(
        "Metaflow",
        "a Python for each step",
        _each("{bin}/python {flows}/flow_metaflow_SHAPE.py run", "chain", "fan_out"),
        package="metaflow==2.19.39",
        caching="none: `resume` goes on with one earlier run",
    ),
    Peer(
        "Dagster",
        "a Python for each step (`dagster job execute`)",
        _each("{bin}/dagster job execute -f {flows}/flow_dagster.py -j SHAPE", "chain", "fan_out"),
        package="dagster==1.13.29",
        caching="none: versions of assets only tell what is stale",
    ),
    Peer(
        "Dagster, in process",
        "nothing: all in one process",
        _each("{bin}/python {flows}/flow_dagster.py SHAPE", "chain", "fan_out"),
        package="dagster==1.13.29",
        caching="none: versions of assets only tell what is stale",
    ),
    Peer(
        "Prefect",
        "nothing: threads of one process, beside a server of the run's own",
        _each("{bin}/python {flows}/flow_prefect.py SHAPE", *SHAPES),
        package="prefect==3.9.1",
    ),
)  # fmt: skip


def environment(folder: Path, peer: Peer) -> Path:
    """The ``bin`` of a virtual environment that has the tool, made once for each version; this one for ourselves."""
    if not peer.package:
        return Path(sys.executable).parent
    place = folder / peer.package
    if not (place / "ready").exists():
        python = str(place / "bin" / "python")
        for command in (
            [sys.executable, "-m", "venv", str(place)],
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", peer.package],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800)
        (place / "ready").touch()
    return place / "bin"


class Local:
    """The tools that run on this machine."""

    version = ""  # each has its own

    def __init__(self, environments: Path, work: Path) -> None:
        self.environments = environments
        self.work = work

    def run(self, peer: Peer, shape: str) -> Cost:
        """One run of one shape."""
        programs = environment(self.environments, peer).absolute()
        work = self.work / peer.name.replace(" ", "-").replace(",", "")
        home = work / "home"
        home.mkdir(parents=True, exist_ok=True)
        env = {
            **os.environ, **QUIET, "HOME": str(home), "PREFECT_HOME": str(home), "DAGSTER_HOME": str(home),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # of a user each start finds its byte code
        env.pop("PYTHONPATH", None)
        if not peer.package:
            env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "sdk"), str(ROOT)])
        if f"{{work}}/{shape}.yaml" in peer.commands[shape]:
            compiled(shape, work)
        words = [word.format(bin=programs, flows=FLOWS, work=work) for word in peer.commands[shape].split()]
        return cost(words, env=env, cwd=work, timeout=LIMIT)


class Argo:
    """Argo itself, on a cluster."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.controller = _process("workflow-controller")
        words = ["argo", "version", "--short"]
        said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
        self.version = said.split()[1].partition("+")[0]

    def run(self, peer: Peer, shape: str) -> Cost:
        """One run of one shape; its objects are deleted, that the controller has no more to look after each time."""
        file = compiled(peer.commands[shape], self.work)
        before = _ticks(self.controller)
        found = cost(["argo", "submit", "--wait", "--labels", OURS, str(file)], env=os.environ, timeout=LIMIT)
        used = _ticks(self.controller) - before
        subprocess.run(
            ["argo", "delete", "--selector", OURS], check=False, capture_output=True, timeout=LIMIT
        )
        return Cost(found.wall, used)


ARGO = (
    Peer("Argo", "a pod for each step", {shape: shape for shape in SHAPES}),
    Peer(
        "Argo, a command a step",
        "a pod for each step",
        {shape: f"{shape}_commands" for shape in ("chain", "fan_out")},
        caching="not measured: as above",
    ),
)


def compiled(name: str, folder: Path) -> Path:
    """The YAML of a pipeline of benchmarks/flows/flow_tiphys.py."""
    file = folder / f"{name}.yaml"
    if not file.exists():
        import tiphys
        from benchmarks.flows import flow_tiphys

        file.write_text(tiphys.to_yaml(getattr(flow_tiphys, name)), encoding="utf-8")
    return file


def measure(
    peers: tuple[Peer, ...],
    run: Callable[[Peer, str], Cost],
    rounds: int,
    keep: Callable[[dict[str, Any]], None],
) -> None:
    """All shapes of all tools, in turn; ``keep`` is given what is known after each round."""
    costs: dict[tuple[str, str], list[Cost]] = {}
    failed: dict[tuple[str, str], str] = {}
    for number in range(rounds + 1):
        for shape in SHAPES:
            for peer in peers:
                key = (peer.name, shape)
                if shape not in peer.commands or key in failed:
                    continue
                try:
                    found = run(peer, shape)
                except (OSError, subprocess.SubprocessError) as error:
                    late = isinstance(error, subprocess.TimeoutExpired)
                    said = (
                        f"took more than {LIMIT:.0f} s"
                        if late
                        else str(getattr(error, "stderr", None) or error)
                    )
                    said = said.strip() or repr(error)
                    failed[key] = said.splitlines()[-1][:200]
                    print(f"{peer.name}, {shape}: {said[-1000:]}", file=sys.stderr)
                    continue
                print(
                    f"{number}/{rounds} {peer.name}, {shape}: {found.wall:.2f} s, CPU {found.cpu:.2f} s",
                    file=sys.stderr,
                )
                if number:
                    costs.setdefault(key, []).append(found)
        if number:
            keep(
                {
                    **about(),
                    "rounds": number,
                    "tools": {peer.name: _told(peer, costs, failed) for peer in peers},
                }
            )


def _told(
    peer: Peer, costs: Mapping[tuple[str, str], list[Cost]], failed: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "version": peer.package.partition("==")[2],
        "isolates": peer.isolates,
        "caching": peer.caching,
    }
    for shape in SHAPES:
        key = (peer.name, shape)
        if key in failed:
            told[shape] = {"failed": failed[key]}
        elif key in costs:
            told[shape] = {
                "wall_s": round(statistics.median(each.wall for each in costs[key]), 2),
                "cpu_s": round(statistics.median(each.cpu for each in costs[key]), 2),
            }
    return told


def _process(name: str) -> int:
    """The process that runs a program of this name, or 0."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() == name[:15]:
                return int(entry.name)
        except OSError:
            continue
    return 0


def _ticks(pid: int) -> float:
    """CPU seconds that a process has used."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(found: Mapping[str, Any]) -> None:
    """Print what was measured."""
    for name, told in found["tools"].items():
        cells = (told.get(shape, {}) for shape in SHAPES)
        print(
            f"{name:26}",
            *(
                f"{cell['wall_s']:7.2f} s, CPU {cell['cpu_s']:7.2f} s"
                if "wall_s" in cell
                else f"{'failed' if cell else '-':>23}"
                for cell in cells
            ),
        )


def main() -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environments", type=Path, default=cache / "tiphys-peers", help="%(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--tools", default="", help="beginnings of names, with commas; all others are left out"
    )
    parser.add_argument("--argo", action="store_true", help="Argo on a cluster, instead of the tools")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    kind = "argo" if options.argo else "local"
    names = tuple(options.tools.lower().split(","))
    peers = tuple(peer for peer in (ARGO if options.argo else PEERS) if peer.name.lower().startswith(names))
    results: dict[str, Any] = {}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text(encoding="utf-8"))

    def keep(found: dict[str, Any]) -> None:
        results[kind] = {**found, "version": tools.version}
        if options.json:
            write(options.json, results)

    with tempfile.TemporaryDirectory(prefix="tiphys-peers-") as work:
        tools = Argo(Path(work)) if options.argo else Local(options.environments, Path(work))
        measure(peers, tools.run, options.rounds, keep)
    table(results[kind])


if __name__ == "__main__":
    main()
