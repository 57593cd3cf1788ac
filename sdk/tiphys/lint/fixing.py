"""``--fix``: edits that keep comments and layout, where a finding has one right answer."""

from __future__ import annotations

import re
from collections.abc import Callable

from tiphys.argo.any_string import any_string
from tiphys.argo.reader import Document, MappingNode, ScalarNode, scan_text
from tiphys.expr.durations import in_hours
from tiphys.frozen import frozen
from tiphys.lazy import regex
from tiphys.lint.finding import Finding
from tiphys.lint.linter import lint_documents

__all__ = ["fix"]

_ROUNDS = 6
_TAG = regex(r"\{\{.*?\}\}", re.DOTALL)
_TOKEN = regex(r"[^\s#,\]}\"']+")
# Codes whose finding is one wrong word with one near miss.
_WORDS = ("L105", "L211", "L226", "L227", "L230", "L275", "L279", "L290", "L297", "L321", "L328")


@frozen
class Edit:
    """Replace ``start:end`` (characters of the file) by ``text``; ``also`` belongs to the same repair."""

    start: int
    end: int
    text: str
    also: tuple[Edit, ...] = ()


Fixer = Callable[["Place"], Edit | None]


class Place:
    """Where a finding stands in the file: its document, nodes and line."""

    def __init__(self, text: str, finding: Finding, document: Document) -> None:
        self.text = text
        self.finding = finding
        self.document = document
        self.lines = text.split("\n")
        self.line = self.lines[finding.line - 1] if finding.line <= len(self.lines) else ""
        self.line_start = sum(len(row) + 1 for row in self.lines[: finding.line - 1])
        self.at = self.line_start + finding.column - 1

    def offset(self, index: int) -> int:
        """A character of the document, counted in the file."""
        return self.document.offset + index

    def scalar(self) -> ScalarNode | None:
        """The scalar at the finding's path."""
        node = self.document.find(self.finding.steps)
        return node if isinstance(node, ScalarNode) else None

    def raw(self, node: ScalarNode) -> str:
        """A scalar as it is written, with its quotes."""
        return self.document.text[node.start.index : node.end.index]

    def replace(self, node: ScalarNode, text: str) -> Edit:
        """Write ``text`` instead of a scalar."""
        return Edit(self.offset(node.start.index), self.offset(node.end.index), text)

    def entry(self) -> tuple[ScalarNode, object] | None:
        """The key and value nodes at the finding's path."""
        parent = self.document.find(self.finding.steps[:-1])
        key = self.finding.steps[-1] if self.finding.steps else None
        if isinstance(parent, MappingNode) and key in parent.entries:
            return parent.entries[str(key)]
        return None


def fix(text: str, *, file: str = "") -> tuple[str, list[Finding]]:
    """Return the text with every finding repaired that has one right answer, and those findings.

    Comments, quotes and order stay as they are: only the characters that are wrong change. What is linted
    is this text alone.
    """
    applied: list[Finding] = []
    for _ in range(_ROUNDS):
        documents = list(scan_text(text, file=file))
        edits: list[tuple[Edit, Finding]] = []
        for finding in lint_documents(documents):
            fixer = _FIXERS.get(finding.code)
            document = next((item for item in documents if item.index == finding.document), None)
            if fixer is None or document is None:
                continue
            edit = fixer(Place(text, finding, document))
            if edit is not None:
                edits.append((edit, finding))
        changed = _apply(text, edits, applied)
        if changed == text:
            break
        text = changed
    return text, applied


def _apply(text: str, edits: list[tuple[Edit, Finding]], applied: list[Finding]) -> str:
    """Apply the edits that do not touch each other, the first of those that do."""
    taken: list[Edit] = []
    for edit, finding in edits:
        parts = [edit, *edit.also]
        if any(a.start < b.end + 1 and b.start < a.end + 1 for a in parts for b in taken):
            continue
        taken += parts
        applied.append(finding)
    for part in sorted(taken, key=lambda item: item.start, reverse=True):
        text = text[: part.start] + part.text + text[part.end :]
    return text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _quote_source(place: Place) -> Edit | None:
    node = place.scalar()
    return place.replace(node, _quoted(node.text)) if node is not None and node.style is None else None


def _config_map(place: Place) -> Edit | None:
    return _quote_source(place) if "in quotes" in place.finding.fix else _rename_field(place)


def _quote_value(place: Place) -> Edit | None:
    """As Argo reads it: `1e3` becomes "1000", `yes` becomes "true"."""
    node = place.scalar()
    return (
        place.replace(node, _quoted(any_string(node.value))) if node is not None and not node.style else None
    )


def _rename_field(place: Place) -> Edit | None:
    entry = place.entry()
    if entry is None:
        return None
    key, value = entry
    if key.text in ("semaphore", "mutex") and isinstance(value, MappingNode):
        return _pluralize(place, key, value, {"mutex": "mutexes"}.get(key.text, "semaphores"))
    if key.text == "schedule" and isinstance(value, ScalarNode):
        start, end = place.offset(value.start.index), place.offset(value.end.index)
        more = (Edit(start, start, "["), Edit(end, end, "]"))
        name = place.replace(key, "schedules")
        return Edit(name.start, name.end, name.text, more)
    if key.text in ("successCondition", "failureCondition") and isinstance(value, ScalarNode):
        return _into_resource(place, key, value)
    if place.finding.steps[-4:] == ("memoize", "cache", "configMap", "key"):
        return _drop_line(place, key, value)
    return place.replace(key, place.finding.near[0]) if len(place.finding.near) == 1 else None


def _drop_line(place: Place, key: ScalarNode, value: object) -> Edit | None:
    """Remove a field that never had an effect, where it has a line of its own."""
    if not isinstance(value, ScalarNode) or place.line[: key.start.column].strip():
        return None
    return Edit(place.line_start, place.line_start + len(place.line) + 1, "")


def _pluralize(place: Place, key: ScalarNode, value: MappingNode, name: str) -> Edit:
    start, end = place.offset(value.start.index), place.offset(value.end.index)
    head = place.replace(key, name)
    if value.flow:
        return Edit(head.start, head.end, name, (Edit(start, start, "["), Edit(end, end, "]")))
    more = [Edit(start, start, "- ")]
    position = place.text.find("\n", start)
    while 0 <= position < end - 1:
        line_end = place.text.find("\n", position + 1)
        line = place.text[position + 1 : line_end if line_end >= 0 else None]
        if line.strip() and len(line) - len(line.lstrip()) >= value.start.column:
            more.append(Edit(position + 1, position + 1, "  "))
        position = line_end
    return Edit(head.start, head.end, name, tuple(more))


def _into_resource(place: Place, key: ScalarNode, value: ScalarNode) -> Edit | None:
    """Move a condition from the template to its resource."""
    parent = place.document.find(place.finding.steps[:-1])
    resource = parent.entries.get("resource") if isinstance(parent, MappingNode) else None
    if resource is None or not isinstance(resource[1], MappingNode) or resource[1].flow:
        return None
    if value.style in ("|", ">") or key.text in resource[1].entries or key.start.line != value.start.line:
        return None
    first = resource[1].start
    raw = place.raw(value)
    into = place.offset(first.index)
    line = place.line_start
    if place.line[: key.start.column].strip():
        return None  # behind `- `: the item would lose its first line
    gone = Edit(line, line + len(place.line) + 1, "")
    return Edit(into, into, f"{key.text}: {raw}\n{' ' * first.column}", (gone,))


def _one_word(place: Place) -> Edit | None:
    finding, node = place.finding, place.scalar()
    if len(finding.near) != 1 or node is None:
        return None
    wrong = next(iter(re.findall(r"'([^']+)'", finding.message)), "")
    if finding.code in ("L105", "L275", "L279"):
        wrong = node.text
    if finding.code in ("L226", "L227", "L230"):
        found = re.findall(r"(?:dependency|result|target) '([^']+)'", finding.message)
        wrong = found[0] if found else ""
    raw = place.raw(node)
    pattern = re.compile(rf"(?<![-\w]){re.escape(wrong)}(?![-\w])")
    if not wrong or len(pattern.findall(raw)) != 1:
        return None
    return place.replace(node, pattern.sub(lambda _: finding.near[0], raw))


def _one_tag(place: Place) -> Edit | None:
    finding, node = place.finding, place.scalar()
    wrong = re.search(r"failed to resolve (\{\{.*\}\})$", finding.message)
    if len(finding.near) != 1 or node is None or not wrong:
        return None
    raw = place.raw(node)
    if raw.count(wrong[1]) != 1:
        return None
    return place.replace(node, raw.replace(wrong[1], "{{" + finding.near[0] + "}}"))


def _memo_key(place: Place) -> Edit | None:
    node = place.scalar()
    if node is None or node.style in ("|", ">") or "{{=" in node.text:
        return None
    raw, parts, last = node.text, [], 0
    for match in _TAG.finditer(raw):
        parts += [re.sub(r"[^-a-zA-Z0-9]+", "-", raw[last : match.start()]), match.group()]
        last = match.end()
    parts.append(re.sub(r"[^-a-zA-Z0-9]+", "-", raw[last:]))
    return place.replace(node, _quoted("".join(parts).strip("-")))


def _constant_key(place: Place) -> Edit | None:
    """Add a digest of the inputs, where there are any."""
    node = place.scalar()
    inputs = place.document.find((*place.finding.steps[:-2], "inputs", "parameters"))
    if node is None or inputs is None or not re.fullmatch(r"[-a-zA-Z0-9]+", node.text):
        return None
    return place.replace(node, f'"{node.text}-{{{{=sprig.sha256sum(toJson(inputs.parameters))}}}}"')


def _max_age(place: Place) -> Edit | None:
    node = place.scalar()
    better = in_hours(node.text) if node is not None else ""
    return place.replace(node, better) if node is not None and better else None


def _timeout(place: Place) -> Edit | None:
    node = place.scalar()
    if node is None or place.finding.steps[-1:] != ("timeout",) or not node.text.isdigit():
        return None
    return place.replace(node, _quoted(node.text + "s"))


def _when(place: Place) -> Edit | None:
    node = place.scalar()
    if node is None or node.style in ("|", ">"):
        return None
    raw = place.raw(node)
    better = re.sub(r"(?<![=!<>~])=(?![=~])", "==", raw)
    return place.replace(node, better) if len(better) == len(raw) + 1 else None


# Inside manifests: the finding's line and column are the place.


def _token(place: Place, expected: str) -> re.Match[str] | None:
    if not re.search(expected, place.line):
        return None
    return _TOKEN.match(place.text, place.at)


def _manifest_quote(place: Place) -> Edit | None:
    match = _token(place, r":\s")
    return Edit(match.start(), match.end(), _quoted(match.group())) if match else None


def _manifest_quote_tag(place: Place) -> Edit | None:
    match = re.compile(r"\{\{[^}]*\}\}[^\s\"'#]*").match(place.text, place.at)
    if not match or '"' in match.group():
        return None
    return Edit(match.start(), match.end(), '"' + match.group() + '"')


def _manifest_name(place: Place) -> Edit | None:
    match = re.compile(r"name:([ ]+)([-\w.]+)(?=\s|$|[,}])").match(place.text, place.at)
    return (
        Edit(match.start(), match.end(), f"generateName:{match[1]}{match[2].rstrip('-')}-") if match else None
    )


def _manifest_container(place: Place) -> Edit | None:
    match = _token(place, r"name:")
    return Edit(match.start(), match.end(), "tensorflow") if match else None


def _manifest_api(place: Place) -> Edit | None:
    match = _token(place, r"apiVersion:")
    return Edit(match.start(), match.end(), "kubeflow.org/v1") if match else None


def _manifest_policy(place: Place) -> Edit | None:
    match = re.match(r"(\s*)spec:\s*$", place.line)
    following = place.lines[place.finding.line] if place.finding.line < len(place.lines) else ""
    indent = len(following) - len(following.lstrip(" "))
    if not match or indent <= len(match[1]) or "successPolicy" in place.text[place.at : place.at + 2000]:
        return None
    end = place.line_start + len(place.line)
    return Edit(end, end, "\n" + " " * indent + "successPolicy: AllWorkers")


def _manifest_label(place: Place) -> Edit | None:
    match = re.match(r"(\s*)template:\s*$", place.line)
    following = place.lines[place.finding.line] if place.finding.line < len(place.lines) else ""
    indent = len(following) - len(following.lstrip(" "))
    if not match or indent <= len(match[1]) or not following.lstrip().startswith("spec:"):
        return None
    end = place.line_start + len(place.line)
    label = 'workflows.argoproj.io/workflow: "{{workflow.name}}"'
    return Edit(end, end, f"\n{' ' * indent}metadata:\n{' ' * (indent + 2)}labels: {{{label}}}")


def _own_name(place: Place) -> Edit | None:
    """Pass the template's own variant, where it is one word and so has one spelling."""
    words = re.search(r"passes '([^']+)', .* never '([a-zA-Z0-9]+)'$", place.finding.message)
    if not words:
        return None
    match = re.compile(rf"(?<![-\w]){re.escape(words[1])}(?![-\w])").search(place.text, place.at)
    if not match or match.end() > place.line_start + len(place.line):
        return None
    return Edit(match.start(), match.end(), words[2])


_FIXERS: dict[str, Fixer] = {
    **dict.fromkeys(_WORDS, _one_word),
    "L110": _rename_field,
    "L111": _rename_field,
    "L113": _quote_source,
    "L220": _one_tag,
    "L278": _timeout,
    "L301": _memo_key,
    "L302": _constant_key,
    "L303": _max_age,
    "L319": _config_map,
    "L326": _when,
    "L335": _manifest_quote,
    "L336": _manifest_quote_tag,
    "L338": _manifest_name,
    "L340": _manifest_container,
    "L341": _manifest_policy,
    "L344": _manifest_api,
    "L347": _manifest_label,
    "L350": _quote_value,
    "L403": _own_name,
}
