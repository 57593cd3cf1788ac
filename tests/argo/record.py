"""Ask Kubernetes, robfig/cron and Argo themselves, and write what they answer to ``*.json`` beside this file.

    python tests/argo/record.py [any_string cron patch quantity selectors time]

Needs Go; the modules come from the module registry, the first build takes minutes. The tests replay the answers.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2])]

from tests.argo.patches import patch_questions  # noqa: E402

Json = Any

HERE = Path(__file__).parent
MODULES = """module judge

go 1.24

require (
	github.com/argoproj/argo-workflows/v4 v4.0.5
	github.com/robfig/cron/v3 v3.0.1
	gopkg.in/evanphx/json-patch.v4 v4.12.0
	k8s.io/api v0.33.1
	k8s.io/apimachinery v0.33.1
	sigs.k8s.io/yaml v1.4.0
)
"""

# -- selectors -------------------------------------------------------------------------------------------------------

LABELS: list[Json] = [
    {},
    {"app": "a"},
    {"app": "b", "tier": "3"},
    {"app": "", "tier": "-7"},
    {"example.com/app": "a", "in": "notin", "tier": "10"},
    {"notin": "in", "tier": "x"},
]
NODES: list[Json] = [
    {
        "id": "gate-1",
        "name": "gate.approve",
        "displayName": "approve",
        "type": "Suspend",
        "phase": "Running",
        "templateName": "wait",
        "inputs": {"parameters": [{"name": "who", "value": "a=b"}, {"name": "count", "value": "3"}]},
    },
    {
        "id": "gate-2",
        "name": "gate.other",
        "displayName": "other, too",
        "type": "Pod",
        "phase": "Failed",
        "templateRef": {"name": "shared", "template": "wait"},
        "inputs": {"parameters": [{"name": "who", "value": ""}]},
    },
    {"id": "gate-3", "name": "gate", "displayName": "gate", "type": "DAG", "phase": "Omitted"},
]


def labels(dice: random.Random) -> str:
    """A label selector, or nearly."""
    keys = [
        "app",
        "tier",
        "in",
        "notin",
        "example.com/app",
        "a..b/app",
        "App_1",
        "-app",
        "x" * 64,
        "ä",
        "a/b/c",
        "",
    ]
    values = ["a", "b", "3", "-7", "+3", "10", "1_0", "", "in", "notin", "-a", "a.b", "x" * 64, "ü"]

    def some(words: list[str], usual: int) -> str:
        return words[dice.randrange(usual if dice.random() < 0.85 else len(words))]

    def term() -> str:
        key, blank = some(keys, 5), dice.choice(["", "", " ", "\t"])
        match dice.randrange(10):
            case 0:
                return key
            case 1:
                return f"!{blank}{key}"
            case 2 | 3:
                listed = dice.choice([",", ", ", ",,"]).join(
                    some(values, 4) for _ in range(dice.randrange(4))
                )
                return f"{key} {dice.choice(['in', 'notin'])} ({dice.choice(['', '', ','])}{listed})"
            case 4:
                return f"{key}{blank}{dice.choice(['>', '<'])}{blank}{some(values[2:], 5)}"
            case 5:
                return f"{key}{dice.choice(['=', '!', '===', '=!', ' ', '>=', '(', ')', ' in'])}{some(values, 6)}"
        return f"{key}{blank}{dice.choice(['=', '==', '!='])}{blank}{some(values, 6)}"

    return dice.choice([",", ",", ", ", ",,"]).join(term() for _ in range(dice.choice([0, 1, 1, 1, 2, 2, 3])))


def fields(dice: random.Random) -> str:
    """A selector of node fields, or nearly."""
    keys = [
        "displayName", "templateName", "phase", "name", "id", "templateRef.name", "templateRef.template",
        "inputs.parameters.who.value", "inputs.parameters.count.value", "type", "inputs.parameters.who", "x", "",
        " displayName",
    ]  # fmt: skip
    values = [
        "approve", "other\\, too", "gate", "Running", "Failed", "wait", "shared", "gate-2", "3", "a\\=b", "", "a=b",
        "\\\\", "\\x", "\\", " approve", "Suspend",
    ]  # fmt: skip
    signs = ["=", "=", "==", "!=", "!=", "!", "===", "=!", " ", " != "]
    terms = [
        f"{dice.choice(keys)}{dice.choice(signs)}{dice.choice(values)}"
        for _ in range(dice.choice([1, 1, 1, 2, 3]))
    ]
    return dice.choice([",", ",", ",,", ", "]).join(terms) + dice.choice(["", "", "", ","])


def selectors(dice: random.Random) -> list[Json]:
    asked: list[Json] = [{"ask": "labels", "text": text, "labels": LABELS} for text in by(labels, dice, 220)]
    return asked + [{"ask": "fields", "text": text, "nodes": NODES} for text in by(fields, dice, 220)]


# -- schedules -------------------------------------------------------------------------------------------------------

MOMENTS = [
    1711752300,
    1711849500,
    1709251199,
    1730000000,
    1541298000,
    4076000000,
]  # near leap days, changed clocks
ZONES = [
    "", "", "", "Europe/Rome", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu",
    "Africa/Cairo", "Asia/Beirut", "UTC", "Local", "", "Europe/London", "", "Europe/Roma", "../etc",
]  # fmt: skip
NAMED = [
    "*/0 * * * *", "CRON_TZ=Nope/Nope 0 0 * * *", "1, 0 1 1 0", ",1 0 1 1 0", "*-5 0 1 1 0", "0 0 30 2 *", "", " ",
    "0 0 29 2 *", "61 3 * * *", "@every 1h", "@every 1.5s", "@every -1m", "@every 99999999h", "@every", "@every 1d",
    "@daily", " @daily", "@DAILY", "@weekly ", "TZ=UTC", "TZ=UTC @hourly", "CRON_TZ=Europe/Rome  30 2 * * *",
    "TZ= 0 0 * * *", "CRON_TZ=UTC TZ=UTC 0 0 * * *", "0 0 * * 7", "0 0 * * sun-sat", "0 0 * JAN-dec/5 ?",
    "0\u00a00 * * *", "0 0 1 1 0 2024", "+1 +02 003 * *", "1_0 * * * *", "\u0661 * * * *", ", * * * *", "0 0 , , ,",
    "0 0 , 2 *", "0 0 31 4,6 */2", "0 0 31 4,6 0", "0 0 31 feb *,1", "?/1 ? ? ? ?", "*-1-2/3 * * * *", "30 2 * * *",
    "0 0 * 3,10 *", "59 23 31 12 *", "0 2 31 3 *", "0 0 * * */7", "0 0 * * 0-6/9223372036854775807", "5/70 * * * *",
]  # fmt: skip


def schedule(dice: random.Random) -> str:
    """Five fields, or nearly."""

    def number(low: int, high: int, names: list[str]) -> str:
        if dice.random() < 0.012:
            return dice.choice(["", "x", str(high + 1), str(low - 1), "+3", "007", "L", "1.5"])
        if names and dice.random() < 0.3:
            return dice.choice(names)
        return str(dice.randint(low, high))

    def part(low: int, high: int, names: list[str]) -> str:
        first = dice.choice(["*", "*", "?", ""]) or number(low, high, names)
        if dice.random() < 0.5:
            first = number(low, high, names)
        if dice.random() < 0.25:
            first += "-" + (
                number(low, high, names) if dice.random() < 0.1 or not first.isdigit() else str(high)
            )
        if dice.random() < 0.25:
            first += "/" + dice.choice(
                ["1", "2", "5", "15", "0", "-2", "", "x"][: dice.choice([4] * 8 + [8])]
            )
        return first + dice.choice([""] * 200 + ["/2", "-3"])

    def field(low: int, high: int, names: str = "") -> str:
        words = names.split()
        return ",".join(part(low, high, words) for _ in range(dice.choice([1, 1, 1, 2, 3]))) + dice.choice(
            [""] * 30 + [","]
        )

    text = " ".join(
        [
            field(0, 59),
            field(0, 23),
            field(1, 31),
            field(1, 12, "jan FEB Mar apr may jun jul aug sep oct nov dec"),
            field(0, 6, "sun MON Tue wed thu fri sat"),
        ]
    )
    zone = dice.choice([""] * 16 + ["TZ=Europe/Rome ", "CRON_TZ=Asia/Tokyo ", "TZ=nowhere "])
    return zone + dice.choice([text] * 30 + [text + " *", text.rpartition(" ")[0]])


def cron(dice: random.Random) -> list[Json]:
    return (
        [
            {"ask": "schedule", "text": text, "zone": dice.choice(ZONES), "after": dice.sample(MOMENTS, 3)}
            for text in [*NAMED, *by(schedule, dice, 260)]
        ]
        + [
            {
                "ask": "schedule",
                "text": "0 0 29 2 *",
                "zone": "",
                "after": [3982100000],
            },  # 2100 is no leap year
        ]
        + [
            {"ask": "schedule", "text": text, "zone": zone, "after": MOMENTS}
            for zone in ZONES[3:9]
            for text in ("30 2 * * *", "0 0 * * 0", "15,45 0-3 * * *", "0 0 1 * *", "*/20 * 31,10,4 3,11 *")
        ]
    )


# -- times -----------------------------------------------------------------------------------------------------------


def time(dice: random.Random) -> str:
    """A time, or nearly."""

    def number(low: int, high: int, width: int) -> str:
        value = dice.randint(low, high) if dice.random() < 0.95 else dice.choice([low - 1, high + 1])
        return str(value).zfill(width if dice.random() < 0.97 else width - 1)

    day = "-".join([number(1001, 9998, 4), number(1, 12, 2), number(1, 28, 2)])
    clock = ":".join([number(0, 23, 2), number(0, 59, 2), number(0, 59, 2)])
    fraction = dice.choice([*["", ".5", ".999999999", ",25", ".000000001"] * 4, "."])
    zones = [
        *["Z", "Z", "+02:00", "-11:30", "+24:00", "-00:60"] * 4,
        "+25:00",
        "+00:61",
        "z",
        "",
        "+0200",
        "+02",
    ]
    zone = dice.choice(zones)
    return (
        dice.choice([day + "T" + clock] * 20 + [day + " " + clock, day + "t" + clock, day]) + fraction + zone
    )


def times(dice: random.Random) -> list[Json]:
    named = [
        "2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2024-04-31T00:00:00Z", "1969-12-31T23:59:59.75Z", "null",
        "0001-01-01T00:00:00Z", "2024-01-01T1:00:00Z", "2024-01-01T24:00:00Z", "2016-12-31T23:59:60Z", "",
        "2024-01-01T00:00:00Z ", " 2024-01-01T00:00:00Z", "2024-00-01T00:00:00Z", "2024-01-00T00:00:00Z",
        "0999-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2024-01-01T00:00:00.Z", "\u0662024-01-01T00:00:00Z",
    ]  # fmt: skip
    return [{"ask": "time", "text": json.dumps(text)} for text in [*named, *by(time, dice, 200)]]


def by(make: Any, dice: random.Random, count: int) -> list[str]:
    """So many different texts."""
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(make(dice))
    return list(found)


# -- the judge -------------------------------------------------------------------------------------------------------


def quantities(dice: random.Random) -> list[Json]:
    """Amounts of memory and CPU, or nearly."""
    units = [
        "",
        "",
        "Ki",
        "Mi",
        "Gi",
        "Ti",
        "Pi",
        "Ei",
        "k",
        "M",
        "G",
        "T",
        "P",
        "E",
        "m",
        "u",
        "n",
        "K",
        "e3",
        "E2",
    ]
    numbers = [
        "1",
        "20",
        "1.5",
        "0",
        "100",
        ".5",
        "2.",
        "-3",
        "+4",
        "0.25",
        "x",
        "",
        "1 ",
        "1e3",
        "128974848",
        "1_0",
    ]
    named = [
        "129e6",
        "123Mi",
        "128974848000m",
        "inf",
        "nan",
        "1e",
        "0x10",
        "1Kib",
        "1 Mi",
        "Mi",
        "1e3k",
        "1mi",
    ]
    texts = dict.fromkeys([*named, *(dice.choice(numbers) + dice.choice(units) for _ in range(120))])
    return [{"ask": "quantity", "text": text} for text in texts]


def any_strings(dice: random.Random) -> list[Json]:
    """What YAML may hold in place of a text."""
    named = [
        "true", "off", "text", "'7'", "0", "1", "-1", "1.0", "-0.0", "010", "0x10", "1e3", "1.0e+3", "1e-7", "0.00001",
        "123456789.125", "0.1234567890123456789", "1e15", "1e20", "1e21", "-1.5e300", "5e-324", "1e-400", "[1, 2]",
        "9007199254740991", "9007199254740993", "12345678901234567890", "-9223372036854775809", "18446744073709551616",
        "1.7976931348623157e308", "{a: 1}", "[]",
    ]  # fmt: skip
    texts = [str(dice.choice([1, -1]) * dice.random() * 10.0 ** dice.randint(-25, 25)) for _ in range(60)]
    return [{"ask": "any_string", "text": text} for text in dict.fromkeys([*named, *texts])]


TOPICS = {
    "any_string": any_strings,
    "cron": cron,
    "patch": patch_questions,
    "quantity": quantities,
    "selectors": selectors,
    "time": times,
}


def judged(questions: list[Json]) -> list[Json]:
    """The answers, in the order of the questions."""
    program = Path(os.environ.get("JUDGE", Path(tempfile.gettempdir()) / "tiphys-judge" / "judge"))
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "record.go", program.parent / "main.go")
        (program.parent / "go.mod").write_text(MODULES)
        for command in (["go", "mod", "tidy"], ["go", "build", "-o", str(program), "."]):
            subprocess.run(command, cwd=program.parent, check=True)
    text = json.dumps(questions)
    answers = subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout
    return list(json.loads(answers))


def line(asked: Json, answer: Json) -> str:
    """A question and its answer as they are kept: without what every question of its kind holds."""
    kept = {key: value for key, value in asked.items() if key not in ("labels", "nodes")}
    if asked["ask"] == "json":
        del kept["original"]
    if "refused" in answer:
        answer = {"refused": answer["refused"].partition("\n")[0][:100]}
    return json.dumps({**kept, **answer}, ensure_ascii=False)


def main() -> None:
    """Record the topics that are named, or all."""
    for topic in sys.argv[1:] or TOPICS:
        questions = TOPICS[topic](random.Random(topic))
        lines = [line(asked, answer) for asked, answer in zip(questions, judged(questions), strict=True)]
        (HERE / f"{topic}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
