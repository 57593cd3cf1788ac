"""pipelines/nightly.py in Hera alone."""

from hera.workflows import DAG, CronWorkflow, Parameter, RetryStrategy, Steps, script
from hera.workflows.models import Backoff, Mutex, Synchronization, ValueFrom

IMAGE = "tiphys/step:0.1.0"


def text_at(path: str) -> list[Parameter]:
    return [Parameter(name="text", value_from=ValueFrom(path=path))]


@script(
    image=IMAGE,
    retry_strategy=RetryStrategy(limit=3, retry_policy="OnFailure", backoff=Backoff(duration="1s", factor=2)),
)
def fetch(day: str):
    import json
    import random
    from datetime import datetime

    generator = random.Random(datetime.fromisoformat(day).strftime("%Y-%m"))
    print(json.dumps([round(3 * i + generator.gauss(0, 0.5), 3) for i in range(100)]))


@script(image=IMAGE)
def train(rows: list):
    print(sum(i * y for i, y in enumerate(rows)) / sum(i * i for i in range(len(rows))))


@script(
    image=IMAGE,
    outputs=[Parameter(name=n, value_from=ValueFrom(path=f"/tmp/{n}")) for n in ("new", "served")],
)
def judge(rows: list, slope: float, served: float):
    def score(slope):
        mean = sum(rows) / len(rows)
        return round(
            1 - sum((y - slope * i) ** 2 for i, y in enumerate(rows)) / sum((y - mean) ** 2 for y in rows), 4
        )

    for name, line in {"new": slope, "served": served}.items():
        with open(f"/tmp/{name}", "w") as file:
            file.write(str(score(line)))


@script(image=IMAGE)
def gate(new: float, served: float, margin: float):
    if new < served + margin:
        raise SystemExit(f"{new} is not better than {served} by {margin}: what is served stays")
    print(f"{new} is better than {served} by {margin}")


@script(
    image=IMAGE,
    outputs=text_at("/tmp/text"),
    synchronization=Synchronization(mutexes=[Mutex(name="release")]),
)
def release(slope: float, why: str):
    with open("/tmp/text", "w") as file:
        file.write(f"released: {slope:.2f} x, as {why}")


@script(image=IMAGE, outputs=text_at("/tmp/text"))
def notify(failures: str):
    import json

    text = "the night failed: " + ", ".join(sorted({f["templateName"] for f in json.loads(failures)}))
    with open("/tmp/text", "w") as file:
        file.write(text)
    print(text)


with CronWorkflow(
    name="nightly",
    schedules=["0 3 * * *"],
    timezone="Europe/Berlin",
    concurrency_policy="Forbid",
    starting_deadline_seconds=3600,
    failed_jobs_history_limit=5,
    entrypoint="main",
    on_exit="cleanup",
    synchronization=Synchronization(mutexes=[Mutex(name="nightly")]),
    arguments=[Parameter(name="served", value="2.5"), Parameter(name="margin", value="0.01")],
) as w:
    with DAG(name="main"):
        rows = fetch(arguments={"day": "{{workflow.scheduledTime}}"})
        slope = train(arguments={"rows": rows.result})
        scores = judge(
            arguments={"rows": rows.result, "slope": slope.result, "served": "{{workflow.parameters.served}}"}
        )
        passed = gate(
            arguments={
                "new": scores.get_parameter("new"),
                "served": scores.get_parameter("served"),
                "margin": "{{workflow.parameters.margin}}",
            }
        )
        rows >> slope >> scores >> passed >> release(arguments={"slope": slope.result, "why": passed.result})
    with Steps(name="cleanup"):
        notify(arguments={"failures": "{{workflow.failures}}"}, when="{{workflow.status}} != Succeeded")
