"""Fashion-MNIST with PyTorch: a PyTorchJob of two workers (DistributedDataParallel, gloo), judged by its accuracy.

pip install 'tiphys[torch]'
tiphys run pipelines/pytorch_ddp.py -p epochs=4
"""

from components import ddp, expect, fingerprint, ingest
from tiphys import Cache, Gang, Pipeline, PyTorchJob, Resources, component

TWO_WEEKS = Cache.by_content(max_age="14d")
ONE_GIB = Resources(cpu="500m", memory="1Gi")

find_source = component(fingerprint.fingerprint, egress=["web"])
ingest_images = component(ingest.ingest, cache=TWO_WEEKS, egress=["web"], resources=ONE_GIB)
expect_data = component(expect.expect, resources=ONE_GIB)
evaluate_model = component(ddp.evaluate, name="evaluate-torch", resources=ONE_GIB)
fit = PyTorchJob(ddp.train, workers=2, gang=Gang(capacity=2), cache=TWO_WEEKS)


@component
def accept(accuracy: float, test_accuracy: float, least: float) -> str:
    if accuracy < least:
        raise SystemExit(f"an accuracy of {accuracy:.4f} is less than {least}")
    return f"accuracy {accuracy:.4f} on validation, {test_accuracy:.4f} on test"


with Pipeline("pytorch-ddp", title="Fashion-MNIST with PyTorch") as pipeline:
    source = pipeline.param("source", "auto", description="auto, a folder, a URI, or synthetic (tests only)")
    limit = pipeline.param("limit", 0, minimum=0, description="training images to use; 0 takes all")
    validation_size = pipeline.param("validation-size", 6000, minimum=1)
    epochs = pipeline.param("epochs", 4, minimum=1)
    min_accuracy = pipeline.param("min-accuracy", 0.9, minimum=0.0, maximum=1.0, description="on validation")
    found = find_source(source=source, limit=limit)
    data = ingest_images(source=found.source, validation_size=validation_size, limit=limit)
    expected = expect_data(dataset=data.dataset, expected=expect.Expect(rows=60_000), limit=limit)
    model = fit(dataset=expected.dataset, epochs=epochs)
    judged = evaluate_model(model=model, dataset=expected.dataset)
    accept(accuracy=judged.accuracy, test_accuracy=judged.test_accuracy, least=min_accuracy)
