"""Fashion-MNIST: ingest once, train three models, serve the best two, predict with both.

    tiphys run pipelines/fashion_mnist.py
    tiphys compile pipelines/fashion_mnist.py -o fashion-mnist.yaml && argo submit fashion-mnist.yaml

What the arguments of :func:`build` say shapes the graph and is fixed when it is compiled; the rest are
parameters of the workflow (``-p epochs=3``).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from components import claim, evaluate, expect, fingerprint, golden, ingest, predict, restore, select, train
from components.report import Report
from tiphys import (
    Again,
    Cache,
    Gang,
    Gate,
    MoreMemory,
    Mutex,
    OnFailure,
    Pipeline,
    Reference,
    Resources,
    Serving,
    TFJob,
    component,
    compose,
    dag,
    enough,
    workflow_name,
    workflow_status,
)

Model = Literal["cnn", "dropout", "batch-norm"]
SLOTS = ("first", "second")
TWO_WEEKS = Cache.by_content(max_age="14d")
FOLLOWS = OnFailure(preempted=Again(5), oom=MoreMemory(2, up_to="8Gi"))

find_source = component(fingerprint.fingerprint, on_failure=FOLLOWS, egress=["web"])
ingest_images = component(
    ingest.ingest,
    on_failure=FOLLOWS,
    cache=TWO_WEEKS,
    egress=["web"],
    resources=Resources(cpu="500m", memory="1Gi"),
)
expect_data = component(expect.expect, on_failure=FOLLOWS, resources=Resources(cpu="500m", memory="512Mi"))
restore_data = component(
    restore.restore,
    on_failure=FOLLOWS,
    locks=[Mutex("restore-data")],
    egress=["web"],
    resources=Resources(cpu="500m", memory="1Gi"),
)
evaluate_model = component(
    evaluate.evaluate, on_failure=FOLLOWS, cache=TWO_WEEKS, resources=Resources(cpu="500m", memory="1Gi")
)
select_best = component(select.select, on_failure=FOLLOWS, exports={"ranking": "models"})
claim_slot = component(claim.claim, on_failure=FOLLOWS)
predict_images = component(
    predict.predict, on_failure=FOLLOWS, exports={"summary": "summary", "prediction": "prediction"}
)


class Candidate(NamedTuple):
    """What a trained model is judged by."""

    report: Report


def build(
    workers: int = 2,
    capacity: int | None = None,
    replicas: int = 2,
    models: tuple[Model, ...] = ("cnn", "dropout", "batch-norm"),
    image: str = "",
    kind: Literal["TFJob", "JobSet"] = "TFJob",
) -> Pipeline:
    """The pipeline. ``capacity`` is how many workers may train at the same time; unset, one gang. ``kind``: what the
    cluster has for trainings."""
    pipeline = Pipeline(
        "fashion-mnist",
        title="Fashion-MNIST",
        description="Ingest once, train three models, serve the best two, predict with both.",
        image=image,
    )
    source = pipeline.param("source", "auto", description="auto, a folder, a URI, or synthetic (tests only)")
    limit = pipeline.param("limit", 0, minimum=0, description="training images to use; 0 takes all")
    validation_size = pipeline.param("validation-size", 6000, minimum=1)
    epochs = pipeline.param("epochs", 10, minimum=1)
    batch_size = pipeline.param("batch-size", 1024, minimum=1, description="over all workers")
    learning_rate = pipeline.param("learning-rate", 0.006, minimum=0.0, maximum=1.0)
    seed = pipeline.param("seed", 7, minimum=0)
    top = pipeline.param("top", 2, choices=(1, 2), description="how many models are served")
    min_accuracy = pipeline.param("min-accuracy", 0.9, minimum=0.0, maximum=1.0, description="on validation")
    patience = pipeline.param(
        "patience",
        -1,
        minimum=-1,
        description="seconds for those who are late when enough are good; -1: for ever",
    )
    combine = pipeline.param(
        "combine",
        "mean",
        choices=("mean", "vote", "weighted-mean", "weighted-vote"),
        description="the services' answers; weighted: by accuracy on validation",
    )
    at_least = pipeline.param(
        "at-least", 0, choices=(0, 1, 2), description="services that must answer; 0: all"
    )
    deadline = pipeline.param("deadline", 60.0, minimum=1.0, description="seconds for their answers")
    serve = pipeline.param("serve", "final", choices=("final", "early"))
    count = pipeline.param("count", 10, minimum=1, description="test images to predict")
    keep_serving = pipeline.param("keep-serving", False)

    fit = TFJob(
        train.train,
        workers=workers,
        gang=Gang(capacity),
        cache=TWO_WEEKS,
        instance="model",
        kind=kind,
        prepare=restore_data,
        resources=Resources(cpu="500m", memory="1Gi", cpu_limit="2", memory_limit="4Gi"),
    )
    serving = Serving("fashion-mnist", replicas=replicas)
    gate = Gate(
        inputs={"images": "uint8[?,28,28]"},
        outputs={"probabilities": "float32[?,10]"},
        golden=golden.GOLDEN,
        p99="500ms",
        memory="1Gi",
    )

    @dag
    def candidate(model: Model, dataset: Reference) -> Candidate:
        """Train and judge one model; with serve=early, publish it at once in the first free slot."""
        trained = fit(
            dataset=dataset,
            model=model,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
        )
        judged = evaluate_model(name=model, model=trained, dataset=dataset)
        good = (serve == "early") & (judged.accuracy >= min_accuracy)
        deployed = serving.deploy(name=model, model=trained).when(good)
        runs = compose("pvc://tiphys/runs/{run}", run=workflow_name)
        slot = claim_slot(name=model, slots=list(SLOTS), folder=runs).after(deployed, on="succeeded").slot
        serving.expose(slot=slot, name=model).when(slot != "")
        return Candidate(report=judged.report)

    with pipeline:
        found = find_source(source=source, limit=limit)
        data = ingest_images(source=found.source, validation_size=validation_size, seed=seed, limit=limit)
        looked = expect_data(dataset=data.dataset, expected=expect.FASHION_MNIST, limit=limit)
        candidates = [candidate(model=model, dataset=looked.dataset).named(model) for model in models]
        judged = enough(
            candidates,
            top=top,
            min_accuracy=min_accuracy,
            training=fit,
            patience=patience,
            ended=serve == "early",
        )
        best = select_best(reports=judged.reports, dropped=judged.dropped, top=top, min_accuracy=min_accuracy)
        first = serving.publish("first", name=best.first_name, model=best.first_uri, gate=gate)
        second = serving.publish(
            "second", name=best.second_name, model=best.second_uri, when=top >= 2, gate=gate
        )
        predict_images(
            urls=[first.url.optional(""), second.url.optional("")],
            dataset=data.dataset,
            combine=combine,
            count=count,
            seed=seed,
            weights=best.accuracies,
            at_least=at_least,
            deadline=deadline,
        )
        swapped = serving.retire(keep=best.keep).when(serve == "early").after(first, on="succeeded")
        swapped.after(second, on=("succeeded", "skipped", "omitted"))
    with pipeline.exit_handler("cleanup"):
        failed = workflow_status != "Succeeded"
        fit.stop().when(failed)
        serving.stop().when(failed & ~keep_serving)
    return pipeline
