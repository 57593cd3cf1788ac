"""Cores and memory of a machine as pools, for those who say how many there are.

``tiphys queue set millicores 16000``, or ``[pools]`` of ``queue.toml``: from then on the pods of all engines on the
store want permits of them, as many as they request. Who has said nothing waits for neither: a workflow that was written
for a cluster requests more than a laptop has.
"""

from __future__ import annotations

__all__ = ["CORES", "MEMORY", "PRICES"]

CORES = "millicores"  # thousandths of a core
MEMORY = "mebibytes"  # 2**20 bytes
# what holding a permit for a second counts as use (:class:`tiphys.queue.core.PermitPool`): a core as much as a worker
PRICES = {CORES: 0.001, MEMORY: 0.0}
