"""The drawing of a plan."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from tests.server.page.planned import ran
from tiphys.server.page.drawing import drawing, laid_out
from tiphys.server.page.states import item_states


def test_it_is_xml_with_a_box_for_each_item_and_no_styles(tmp_path: Path) -> None:
    workflow, plan, record = ran(tmp_path)
    plan.main.items[0].title = "<script>x</script>"
    text = drawing(
        laid_out(plan), item_states(plan, workflow, record), lambda state: "/ui/x" if state.steps else ""
    )
    root = ElementTree.fromstring(text)
    boxes = [each for each in root.iter() if each.get("data-key")]
    assert len(boxes) == len({each.get("data-key") for each in boxes}) == 5
    assert not [each for each in root.iter() if each.tag in ("script", "style") or each.get("style")]
