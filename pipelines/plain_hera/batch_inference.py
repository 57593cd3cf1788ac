"""pipelines/batch_inference.py in Hera alone."""

from hera.workflows import DAG, NoneArchiveStrategy, Parameter, Resources, S3Artifact, Workflow, script
from hera.workflows.models import SecretKeySelector, ValueFrom

IMAGE = "tiphys/step:0.1.0"
PARTS = ["north", "south", "west"]
MADE = "{{workflow.parameters.source}} == made"


def stored(name: str, path: str, key: str) -> S3Artifact:
    return S3Artifact(
        name=name,
        path=path,
        bucket="inference",
        key=key,
        endpoint="minio.storage:9000",
        access_key_secret=SecretKeySelector(name="s3", key="access-key"),
        secret_key_secret=SecretKeySelector(name="s3", key="secret-key"),
        archive=NoneArchiveStrategy(),
    )


@script(image=IMAGE, outputs=stored("rows", "/tmp/rows.csv", "in/{{inputs.parameters.part}}.csv"))
def make_rows(part: str):
    import numpy as np

    rows = np.random.default_rng(len(part)).normal(sum(map(ord, part)) % 3 - 1, 1, (1000, 4))
    np.savetxt("/tmp/rows.csv", rows, "%.6f", ",")


@script(image=IMAGE, outputs=stored("model", "/tmp/weights.csv", "model/weights.csv"))
def make_model():
    import numpy as np

    np.savetxt("/tmp/weights.csv", [0.5, -0.25, 1.0, 0.75], "%.6f")


def build(gpus: int = 0) -> Workflow:
    @script(
        image=IMAGE,
        inputs=[
            stored("rows", "/tmp/rows.csv", "in/{{inputs.parameters.part}}.csv"),
            stored("model", "/tmp/weights.csv", "model/weights.csv"),
        ],
        outputs=[
            stored("scores", "/tmp/scores.csv", "scores/{{workflow.name}}/{{inputs.parameters.part}}.csv"),
            Parameter(name="above", value_from=ValueFrom(path="/tmp/above")),
        ],
        resources=Resources(gpus=gpus or None, memory_request="1Gi", memory_limit="2Gi"),
    )
    def score(part: str):
        import numpy as np

        logits = np.loadtxt("/tmp/rows.csv", delimiter=",") @ np.loadtxt("/tmp/weights.csv")
        scores = 1 / (1 + np.exp(-logits))
        np.savetxt("/tmp/scores.csv", scores, "%.6f")
        with open("/tmp/above", "w") as file:
            file.write(str(int((scores > 0.5).sum())))

    @script(image=IMAGE, outputs=Parameter(name="text", value_from=ValueFrom(path="/tmp/text")))
    def report(above: list):
        text = f"{sum(map(int, above))} rows of {len(above)} shards are above 0.5"
        with open("/tmp/text", "w") as file:
            file.write(text)
        print(text)

    with (
        Workflow(
            generate_name="batch-inference-",
            entrypoint="main",
            arguments=Parameter(name="source", value="made", enum=["made", "bucket"]),
        ) as w,
        DAG(name="main"),
    ):
        make_rows(arguments={"part": "{{item}}"}, with_items=PARTS, when=MADE)
        make_model(when=MADE)
        scored = score(
            arguments={"part": "{{item}}"},
            with_items=PARTS,
            depends="(make-rows.Succeeded || make-rows.Skipped) && (make-model.Succeeded || make-model.Skipped)",
        )
        scored >> report(arguments={"above": scored.get_parameter("above")})
    return w
