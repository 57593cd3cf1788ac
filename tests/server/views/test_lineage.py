"""The tree, as a list in lists."""

from __future__ import annotations

from tests.server.views.made import store
from tiphys.runs.records import Records
from tiphys.server.views.lineage import LineageItem, items


def flat(found: list[LineageItem], depth: int = 0) -> list[tuple[int, str]]:
    return [each for one in found for each in [(depth, one.thing.id), *flat(one.inside, depth + 1)]]


def test_it_is_the_tree_and_leads_on() -> None:
    from tiphys.records.lineage import tree

    for down in (False, True):
        graph = Records(store()).lineage(
            "pvc://tiphys/datasets/words" if down else "pvc://tiphys/models/m", down=down
        )
        found = items(graph)
        assert flat(found) == [(depth, thing.id) for depth, thing, _ in tree(graph)] and len(found) == 1
        assert found[0].link == "" and found[0].inside
    (root,) = items(Records(store()).lineage("pvc://tiphys/models/m"))
    links = [each.link for step in root.inside for each in step.inside]
    assert "/ui/lineage?of=pvc%3A%2F%2Ftiphys%2Fdatasets%2Fwords" in links
