"""What entries share: the account is that of a plain model, whatever comes and goes."""

from __future__ import annotations

import random
from pathlib import Path

from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.shared import Freeing
from tiphys.store import Store


def test_the_total_is_that_of_a_model(tmp_path: Path) -> None:
    chance = random.Random(11)
    sizes = {f"thing {number}": 10**number for number in range(6)}
    model: dict[str, list[str]] = {}

    def total() -> int:
        return len(model) + sum(sizes[name] for name in {name for held in model.values() for name in held})

    with Entries(Store(tmp_path)) as known:
        for _ in range(300):
            key = f"k{chance.randrange(12)}"
            if chance.random() < 0.4:
                assert known.remove("cache", key) == (model.pop(key, None) is not None)
            else:
                model[key] = chance.sample(sorted(sizes), chance.randrange(4))
                held = {name: sizes[name] for name in model[key]}
                known.save(
                    CachedResult(
                        "cache",
                        key,
                        node="n",
                        created=1.0,
                        hit=1.0,
                        size=1,
                        data=sum(held.values()),
                        held=held,
                    )
                )
            assert known.totals() == (len(model), total())
        with known.file.reading() as db:
            freeing = Freeing(db)
            numbers = [row[0] for row in db.execute("SELECT id FROM entries ORDER BY key")]
            assert sum(freeing.bytes_of(number, 1) for number in numbers) == total()
