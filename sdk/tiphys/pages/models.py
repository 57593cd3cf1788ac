"""What evaluations said of models, drawn: candidates beside the bar that they had to pass, and confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.pages.html import number, safe
from tiphys.records.candidates import ModelReport, bar
from tiphys.records.record import RunRecord

__all__ = ["candidates", "confusions"]

MOST_MATRICES, MOST_BARS = 6, 40


def candidates(run: RunRecord, models: Sequence[ModelReport]) -> str:
    """A bar for each, and a line where the bar is."""
    told = [each for each in models if 0 <= each.accuracy <= 1]
    if not told:
        return ""
    least = bar(run)
    line = "" if least is None else f'<u style="left:{least * 100:.2f}%"></u>'
    rows = []
    for each in told[:MOST_BARS]:
        css = "ok" if least is None or each.accuracy >= least else "bad"
        sign = f" <b>({safe(', '.join(each.chosen), 60)})</b>" if each.chosen else ""
        rows.append(
            f'<span class="name">{safe(each.name, 80)}{sign}</span>'
            f'<div class="track"><i class="{css}" style="left:0;width:{each.accuracy * 100:.2f}%"></i>{line}</div>'
            f"<span>{number(each.accuracy)}</span>"
        )
    note = "" if least is None else f"The line is the bar: an accuracy of {number(least)}. "
    if len(told) > MOST_BARS:
        note += f"{len(told) - MOST_BARS:,} candidates are left out."
    return f'<div class="bars">{"".join(rows)}</div>' + (f'<p class="note">{note}</p>' if note else "")


def confusions(models: Sequence[ModelReport]) -> tuple[list[str], int]:
    """The matrices, and how many are left out."""
    with_one = [each for each in models if each.confusion]
    return [_matrix(each) for each in with_one[:MOST_MATRICES]], max(len(with_one) - MOST_MATRICES, 0)


def _matrix(model: ModelReport) -> str:
    names = model.classes or [str(place) for place in range(len(model.confusion))]
    head = "".join(f'<th class="col">{safe(name, 24)}</th>' for name in names)
    rows = []
    for name, row in zip(names, model.confusion, strict=True):
        most = sum(row) or 1.0
        cells = "".join(
            f'<td style="background:rgba(var(--heat),{min(value / most, 1) * 0.6:.3f})" '
            f'title="{safe(name, 24)} → {safe(names[place], 24)}: {number(value)}">'
            f"{number(value) if value else '·'}</td>"
            for place, value in enumerate(row)
        )
        rows.append(f'<tr><th class="row">{safe(name, 24)}</th>{cells}</tr>')
    table = f'<table class="matrix"><tr><th></th>{head}</tr>{"".join(rows)}</table>'
    return f'<div><h3>{safe(model.name, 80)}</h3><div class="scroll">{table}</div></div>'
