"""The training data as a ``tf.data`` stream: sharded by worker, cached, shuffled anew each epoch, batched, prefetched.

Bytes stay bytes until the last moment: the cache holds the records as they are on disk (785 bytes each) and the
scaling to 0..1 runs on whole batches. The order of epoch ``e`` depends on the seed and on ``e`` alone, so a training
that resumes at epoch ``e`` sees what it would have seen without the interruption.
"""

from __future__ import annotations

import os
from typing import Any

from components.catalog import CLASSES, IMAGE_SIDE
from components.cluster import Gang
from components.dataset import RECORD_BYTES, Dataset

__all__ = ["scale", "steps_per_epoch", "training_stream", "worker_share"]

# Cache a worker's share only when it takes less than this part of the memory that is free.
CACHE_SHARE = 0.25
_SHUFFLE_RECORDS = 65_536


def steps_per_epoch(dataset: Dataset, batch_size: int) -> int:
    """Global batches in an epoch; the remainder, which would not fill a batch, is left out of it."""
    return max(1, dataset.examples("train") // batch_size)


def training_stream(tf: Any, dataset: Dataset, gang: Gang, batch_size: int, epochs: range, seed: int) -> Any:
    """Batches of this worker's share: ``(images float32 [n, 28, 28, 1], labels int32 [n])``, n = batch_size / workers.

    Each worker reads every ``size``-th record, so that the shares are equal and disjoint in every epoch.
    """
    share = batch_size // gang.size
    steps = steps_per_epoch(dataset, batch_size)
    files = [str(path) for path in dataset.files("train")]
    records = tf.data.FixedLengthRecordDataset(files, RECORD_BYTES, buffer_size=1 << 20)
    records = records.shard(gang.size, gang.index)
    count = len(range(gang.index, dataset.examples("train"), gang.size))
    if count * RECORD_BYTES < CACHE_SHARE * _free_memory():
        records = records.cache()
    if count < share:
        records = records.repeat(-(-share // count))

    def epoch(number: Any) -> Any:
        mixed = number * 1_000_003 + seed
        order = records.shuffle(
            min(max(count, share), _SHUFFLE_RECORDS), seed=mixed, reshuffle_each_iteration=False
        )
        return order.batch(share, drop_remainder=True).take(steps)

    def decode(batch: Any) -> Any:
        rows = tf.io.decode_raw(batch, tf.uint8, fixed_length=RECORD_BYTES)
        images = tf.reshape(rows[:, 1:], (share, IMAGE_SIDE, IMAGE_SIDE, 1))
        return scale(tf, images), tf.one_hot(tf.cast(rows[:, 0], tf.int32), len(CLASSES))

    stream = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(epoch)
    stream = stream.map(decode, num_parallel_calls=1, deterministic=True).prefetch(4)
    options = tf.data.Options()
    options.deterministic = True
    # Nothing here is left to tune, and the tuner's thread can hold up the end of the iterator for a minute.
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return stream.with_options(options)


def scale(tf: Any, images: Any) -> Any:
    """uint8 0..255 to float32 0..1: the one place where pixels are scaled, in training and in the exported model."""
    return tf.cast(images, tf.float32) * (1.0 / 255.0)


def worker_share(tf: Any, stream: Any) -> Any:
    """Present this worker's ``stream`` as the distributed data set that it is part of.

    What TensorFlow's own ``distribute_datasets_from_function`` adds is a second buffer for each device, which one CPU
    does not need, with a tuner whose thread can hold up the end of a training for a minute.
    """

    class WorkerShare(tf.distribute.DistributedDataset):  # type: ignore[misc, name-defined, unused-ignore]
        def __iter__(self) -> Any:
            return iter(stream)

        @property
        def element_spec(self) -> Any:
            return stream.element_spec

        def reduce(self, initial_state: Any, reduce_func: Any) -> Any:
            return stream.reduce(initial_state, reduce_func)

    return WorkerShare()


def _free_memory() -> int:
    return int(os.sysconf("SC_AVPHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
