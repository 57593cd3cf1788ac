"""Run Argo's recorded cases and write docs/conformance.md.

    python -m tests.conformance [--replay] [--only ID,...] [--jobs N] [--runner sandbox] [--write docs/conformance.md]

``--replay`` checks the core alone, with recorded pods; without it every case that needs no outside service really runs.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import sys
from pathlib import Path

from tests.conformance.cases import ROOT, records
from tests.conformance.compare import differences
from tests.conformance.differential import load_recordings, run_core
from tests.conformance.reasons import OWN_RUN, REASONS, SEEDS
from tests.conformance.replaying import replay
from tests.conformance.running import run_case
from tests.conformance.table import page
from tests.conformance.versions import VERSIONS
from tiphys.errors import TiphysError


def say(*words: object) -> None:
    """Write a line."""
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


RESULTS = Path(__file__).with_name("results.json")


def _replayed(identity: str) -> list[str]:
    record = records()[identity]
    try:
        machine, _ = replay(record)
        return differences(machine.workflow(), record) if machine.done else ["does not end"]
    except (TiphysError, LookupError) as error:
        return [str(error)]


def _differential() -> tuple[int, int]:
    recordings = load_recordings()
    agree = sum(1 for seed, record in recordings.items() if not differences(run_core(seed), record))
    return agree, len(recordings)


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--runner", default="sandbox")
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--write", nargs="?", const=str(ROOT / "docs" / "conformance.md"))
    options = parser.parse_args()
    wanted = [
        identity
        for identity, record in records().items()
        if (
            identity in options.only.split(",") if options.only else record["host_runnable"] or options.replay
        )
    ]
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"run": {}, "replay": {}}
    kind = "replay" if options.replay else "run"
    if options.replay:
        found = {identity: _replayed(identity) for identity in wanted}
    else:
        with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
            futures = {
                identity: pool.submit(
                    run_case, records()[identity], runner=options.runner, limit=options.limit
                )
                for identity in wanted
            }
            found = {}
            for identity, future in futures.items():
                try:
                    found[identity] = future.result(timeout=600)
                except Exception as error:  # noqa: BLE001  # a broken worker is a disagreement like any other
                    found[identity] = [f"crashed: {type(error).__name__}"]
    results[kind].update(found)
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    for identity, lines in found.items():
        if lines:
            say(identity, records()[identity]["feature"], records()[identity]["path"])
            for line in lines[:6]:
                say("    ", line[:300])
    say(f"{sum(1 for lines in found.values() if not lines)} of {len(found)} agree")
    if options.write:
        text = page(records(), results, _differential(), REASONS, OWN_RUN, SEEDS, VERSIONS)
        Path(options.write).write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
