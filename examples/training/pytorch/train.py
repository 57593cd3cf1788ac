"""A tiny PyTorch training: one process, or DistributedDataParallel over the workers of a PyTorchJob (gloo, no GPU).

Of Tiphys it knows names of variables only: ``TIPHYS_INPUT_EPOCHS`` and ``TIPHYS_INPUT_RATE`` are parameters,
``TIPHYS_REPORT`` is the file that it tells in (one for each worker), ``TIPHYS_MODEL_DIR`` where its model goes.
Its rank and its master are the operator's (``RANK``, ``WORLD_SIZE``, ``MASTER_ADDR``, ``MASTER_PORT``).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from torch import distributed, nn


def tell(rank: int, world: int, **values: float) -> None:
    """A line of the report; of a gang each worker has a file of its own."""
    path = Path(os.environ["TIPHYS_REPORT"])
    if world > 1:
        path = path.with_suffix(f".worker-{rank - 1}.jsonl" if rank else ".master-0.jsonl")
    with path.open("a") as file:
        file.write(json.dumps(values) + "\n")


def main() -> None:
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    epochs = int(os.environ.get("TIPHYS_INPUT_EPOCHS", "3"))
    rate = float(os.environ.get("TIPHYS_INPUT_RATE", "0.1"))
    if world > 1:
        distributed.init_process_group("gloo")
    torch.manual_seed(7)
    net: nn.Module = nn.Linear(2, 1)
    model = nn.parallel.DistributedDataParallel(net) if world > 1 else net
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    inputs = torch.randn(256, 2)[rank::world]  # each worker has its part
    wanted = inputs @ torch.tensor([[2.0], [-1.0]]) + 0.5
    for epoch in range(1, epochs + 1):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), wanted)
        loss.backward()  # averages the gradients of all workers
        optimizer.step()
        tell(rank, world, epoch=epoch, of=epochs, loss=loss.item())
        print(f"worker {rank} of {world}: epoch {epoch} of {epochs}: loss {loss.item():.4f}", flush=True)
    if rank == 0:
        torch.save(net.state_dict(), Path(os.environ["TIPHYS_MODEL_DIR"]) / "model.pt")
    if world > 1:
        distributed.barrier()
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
