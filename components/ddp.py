"""Training with PyTorch's DistributedDataParallel: in each worker of a PyTorchJob, or in one process.

The data set is read as bytes, so that any PyTorch does, whatever NumPy it was built for.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from components.catalog import CLASSES, IMAGE_SIDE
from components.dataset import RECORD_BYTES, Dataset, Split
from components.publish import publish, published, writing
from components.restore import opened
from tiphys.errors import ComponentError
from tiphys.reference import Reference, resolve
from tiphys.step.report import report

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Judged", "evaluate", "train"]

MODEL = "model.pt"
_BACKUP = "backup.pt"
_CHUNK = 2000  # images that are judged at a time


class Judged(NamedTuple):
    """The accuracies of a model, parts of one, on the split to choose by and on the one to report."""

    accuracy: float
    test_accuracy: float


def train(
    dataset: Reference,
    output: str,
    work: str,
    epochs: int = 4,
    batch_size: int = 256,
    learning_rate: float = 0.004,
    seed: int = 7,
) -> None:
    """Train on ``dataset`` and leave the weights in ``output``; ``batch_size`` is over all workers, ``learning_rate``
    the peak of a one-cycle schedule. After each epoch the first worker leaves a backup in ``work``, from which a job
    that follows goes on.

    Raises ComponentError: TIP708 the data set is damaged, TIP711 the batch cannot be shared, TIP713 PyTorch is missing,
    TIP714 the training diverged.
    """
    if published(output) is not None:
        return
    torch = _torch()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if batch_size % world:
        raise ComponentError(
            "TIP711",
            f"batch-size {batch_size} cannot be shared by {world} workers",
            fix=f"give a multiple of {world}",
        )
    images, labels = _examples(torch, opened(dataset), "train")
    if world > 1:
        torch.distributed.init_process_group("gloo")
    torch.manual_seed(seed)
    net = network(torch)
    model = torch.nn.parallel.DistributedDataParallel(net) if world > 1 else net
    optimizer = torch.optim.Adam(net.parameters())
    steps = len(images) // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=max(1, steps * epochs)
    )
    parts = (net, optimizer, schedule)
    backup = resolve(work) / _BACKUP
    done = _restored(torch, backup, parts)
    for epoch in range(done + 1, epochs + 1):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed + epoch))
        loss = math.nan
        for step in range(steps):
            mine = order[step * batch_size : (step + 1) * batch_size][rank::world]
            optimizer.zero_grad()
            found = torch.nn.functional.cross_entropy(model(images[mine]), labels[mine])
            found.backward()  # averages the gradients of all workers
            optimizer.step()
            schedule.step()
            loss = found.item()
        if not math.isfinite(loss):
            raise ComponentError(
                "TIP714", f"the training diverged in epoch {epoch}", fix="give a smaller learning-rate"
            )
        report(epoch=epoch, of=epochs, loss=loss, examples=steps * batch_size // world)
        _log(f"worker {rank} of {world}: epoch {epoch} of {epochs}: loss {loss:.4f}")
        if rank == 0:
            _back_up(torch, work, backup, epoch, parts)
    if rank == 0:
        publish(output, lambda folder: torch.save(net.state_dict(), folder / MODEL))
    if world > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def evaluate(model: Reference, dataset: Reference) -> Judged:
    """Judge the weights in ``model``. Raises ComponentError: TIP708, TIP713, TIP720 there is no model."""
    torch = _torch()
    if published(model.uri) is None:
        raise ComponentError("TIP720", f"there is no sound model at {model.uri}", where=model.uri)
    net = network(torch)
    net.load_state_dict(torch.load(resolve(model.uri) / MODEL))
    net.eval()
    data = opened(dataset)
    validation, test = (_accuracy(torch, net, data, split) for split in ("validation", "test"))
    _log(f"accuracy {validation:.4f} on validation, {test:.4f} on test")
    return Judged(validation, test)


def network(torch: Any) -> Any:
    """Two convolutions and two dense layers: 422 000 weights, of images [n, 1, 28, 28] to logits [n, 10]."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (IMAGE_SIDE // 4) ** 2, 256),
        nn.ReLU(),
        nn.Linear(256, len(CLASSES)),
    )


def _torch() -> Any:
    try:
        torch = importlib.import_module("torch")
        importlib.import_module("torch.distributed")
    except ImportError as error:
        raise ComponentError(
            "TIP713",
            "this training needs PyTorch, which is not installed",
            cause=str(error),
            fix="pip install 'tiphys[torch]'",
        ) from error
    return torch


def _examples(torch: Any, data: Dataset, split: Split) -> tuple[Any, Any]:
    """Images as float32 [n, 1, 28, 28] about 0, labels as int64 [n]."""
    records = bytearray().join(path.read_bytes() for path in data.files(split))
    table = torch.frombuffer(records, dtype=torch.uint8).reshape(-1, RECORD_BYTES)
    images = table[:, 1:].reshape(-1, 1, IMAGE_SIDE, IMAGE_SIDE).float() / 255.0 - 0.5
    return images, table[:, 0].long()


def _accuracy(torch: Any, net: Any, data: Dataset, split: Split) -> float:
    images, labels = _examples(torch, data, split)
    right = 0
    with torch.no_grad():
        for start in range(0, len(images), _CHUNK):
            found = net(images[start : start + _CHUNK]).argmax(1)
            right += int((found == labels[start : start + _CHUNK]).sum())
    return right / len(images)


def _restored(torch: Any, backup: Path, parts: tuple[Any, ...]) -> int:
    """The epoch after which all workers go on; 0: from the beginning."""
    if not backup.exists():
        return 0
    state = torch.load(backup)
    for part, saved in zip(parts, state["parts"], strict=True):
        part.load_state_dict(saved)
    return int(state["epoch"])


def _back_up(torch: Any, work: str, backup: Path, epoch: int, parts: tuple[Any, ...]) -> None:
    with writing(work):
        backup.parent.mkdir(parents=True, exist_ok=True)
        new = backup.with_suffix(".new")
        torch.save({"epoch": epoch, "parts": [part.state_dict() for part in parts]}, new)
        os.replace(new, backup)


def _log(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
