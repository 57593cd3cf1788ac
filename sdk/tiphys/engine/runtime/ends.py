"""The end of a run, written down, and what still changes of one that has ended: its labels and annotations.

``workflow.json`` is what the run came to. Its sum is among the facts, so that it is seen when it changes: then the
journal tells.
"""

from __future__ import annotations

import contextlib
import time
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from tiphys.engine.machine.metadata import relabelled
from tiphys.engine.runtime.facts import WRITTEN
from tiphys.engine.runtime.stored import Ownership
from tiphys.errors import StoreError
from tiphys.store import Store, write_json
from tiphys.store.ended import Ended

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.engine.machine.protocol import Relabel
    from tiphys.engine.runtime.facts import RunFacts
    from tiphys.engine.runtime.journal import Journal
    from tiphys.engine.runtime.stored import Record

__all__ = ["relabel_ended", "write_end"]


def write_end(store: Store, name: str, journal: Journal, facts: RunFacts, workflow: Workflow) -> None:
    """Write ``workflow.json`` of the run in the folder ``name``, and note it, so that it is listed without being read.

    The note only helps: a run that has ended has ended without it. Raises StoreError.
    """
    path = store.run(name) / "workflow.json"
    write_json(path, workflow, private=True)
    with contextlib.suppress(StoreError, OSError):
        journal.write_facts({WRITTEN: zlib.crc32(path.read_bytes())})
        Ended(store).note(name, path.stat(), facts.now, workflow)


def relabel_ended(record: Record, number: int, event: Relabel) -> None:
    """Carry out the request ``number`` on a run that has ended.

    Killed in between, the run has either its old labels or its new ones. Raises RefusedError TIP210 while another
    process has the run, StoreError.
    """
    with Ownership(record.folder, record.name):
        workflow = record.workflow()
        workflow["metadata"] = relabelled(workflow["metadata"], event.labels, event.annotations)
        # no file is of this sum: from here on the journal tells, until the file is written
        record.journal.write_facts({WRITTEN: -1})
        record.journal.append(replace(event, now=time.time()))
        record.journal.answer(number)
        record.journal.commit()
        write_end(record.store, record.name, record.journal, record.begun(), workflow)
