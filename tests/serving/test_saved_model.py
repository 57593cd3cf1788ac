"""A real SavedModel, run by TensorFlow."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiphys.errors import ServingError
from tiphys.serving import ModelServer, ServerConfig, ServingClient
from tiphys.serving.loading import load
from tiphys.serving.model.batching import BatchParameters
from tiphys.serving.model.manager import ModelConfig
from tiphys.serving.model.servable import SessionOptions, Tensor

pytestmark = [pytest.mark.long, pytest.mark.train]

EXPORT = """
    import sys
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self):
            self.weights = tf.Variable(tf.random.stateless_normal((784, 10), (7, 11)))

        @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.uint8, name="images")])
        def probabilities(self, images):
            rows = tf.reshape(tf.cast(images, tf.float32) / 255.0, [-1, 784])
            return {"probabilities": tf.nn.softmax(rows @ self.weights)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def half_plus_two(self, x):
            return {"y": x * 0.5 + 2.0}

        @tf.function(input_signature=[
            tf.TensorSpec([None], tf.string, name="text"), tf.TensorSpec([None, 2], tf.int64, name="whole"),
            tf.TensorSpec([None], tf.bool, name="flag"), tf.TensorSpec([None], tf.float64, name="real"),
            tf.TensorSpec([None], tf.int8, name="small")])
        def echo(self, text, whole, flag, real, small):
            return {"text": tf.identity(text), "text_bytes": tf.identity(text), "whole": tf.identity(whole),
                    "flag": tf.identity(flag), "real": tf.identity(real), "small": tf.identity(small),
                    "half": tf.cast(real, tf.float16)}

        @tf.function(input_signature=[
            tf.TensorSpec([None], tf.float16, name="half"), tf.TensorSpec([None, 2], tf.complex64, name="wave"),
            tf.TensorSpec([None], tf.complex128, name="fine")])
        def waves(self, half, wave, fine):
            return {"half": half * 2, "wave": tf.math.conj(wave), "fine": fine * 1j}

    model = Model()
    tf.saved_model.save(model, sys.argv[1], signatures={
        "serving_default": model.probabilities, "half": model.half_plus_two, "echo": model.echo,
        "waves": model.waves})
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("tensorflow")
    base = tmp_path_factory.mktemp("model")
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(EXPORT), str(base / "1")],
        check=True,
        timeout=300,
        capture_output=True,
    )
    return base


def server(base: Path, **options: Any) -> ModelServer:
    config = ServerConfig([ModelConfig("m", base)], "127.0.0.1", 0, poll_seconds=0, **options)
    return ModelServer(config)


def python_session(path: Path) -> Any:
    from tiphys.serving.model.session import SessionServable

    return SessionServable(path)


@pytest.fixture(scope="module", params=[load, python_session])
def client(base: Path, request: pytest.FixtureRequest) -> Iterator[ServingClient]:
    with server(base, loader=request.param) as running, ServingClient(running.url, "m", timeout=60) as client:
        yield client


def test_images_to_probabilities(client: ServingClient) -> None:
    images = [
        [[(row * column + number) % 256 for column in range(28)] for row in range(28)] for number in range(5)
    ]
    rows = client.predict(instances=images)
    assert [len(row) for row in rows] == [10] * 5
    assert all(math.isclose(sum(row), 1.0, rel_tol=1e-5) for row in rows)
    assert client.predict(instances=[{"images": image} for image in images]) == rows
    assert client.predict(inputs=images) == rows
    assert [client.predict(instances=[image])[0] for image in images] == [
        pytest.approx(row, rel=1e-4) for row in rows
    ]


def test_other_signatures_and_every_type(client: ServingClient) -> None:
    assert client.predict(instances=[1.0, 2.0, 5.0], signature="half") == [2.5, 3.0, 4.5]
    inputs = {
        "text": ["grüß", ""],
        "whole": [[-(2**63), 2**63 - 1], [0, 1]],
        "flag": [True, False],
        "real": [0.1, 1e300],
        "small": [127, 128],
    }
    found = client.predict(inputs=inputs, signature="echo")
    assert found == {
        "text": ["grüß", ""],
        "text_bytes": [{"b64": "Z3LDvMOf"}, {"b64": ""}],
        "whole": [[-(2**63), 2**63 - 1], [0, 1]],
        "flag": [True, False],
        "real": [0.1, 1e300],
        "small": [127, -128],
        "half": [pytest.approx(0.1, rel=1e-3), math.inf],
    }


@pytest.mark.parametrize("loader", [load, python_session])
def test_half_and_complex_numbers_go_through_grpc(base: Path, loader: Any) -> None:
    """By the official client, packed and as content; JSON has none of them."""
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("tensorflow_serving")
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    given = {
        "half": tf.constant([0.5, -1.5], tf.float16),
        "wave": tf.constant([[1 + 2j, 3j], [-1, 0.5 - 0.25j]], tf.complex64),
        "fine": tf.constant([1e300 + 1j, 2], tf.complex128),
    }
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "m", "waves"
    for name, value in given.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    with (
        server(base, loader=loader, grpc_port=0) as running,
        grpc.insecure_channel(running.grpc_address) as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for packed in (False, True):
            if packed:
                for name, value in given.items():
                    request.inputs[name].ClearField("tensor_content")
                    parts = request.inputs[name]
                    flat = tf.reshape(value, [-1]).numpy()
                    if name == "half":
                        parts.half_val[:] = flat.view("uint16").tolist()
                    else:
                        into = parts.scomplex_val if name == "wave" else parts.dcomplex_val
                        into[:] = flat.view("float32" if name == "wave" else "float64").tolist()
            answer = stub.Predict(request, timeout=60)
            found = {name: tf.make_ndarray(value).tolist() for name, value in answer.outputs.items()}
            assert found == {
                "half": [1.0, -3.0],
                "wave": [[1 - 2j, -3j], [-1, 0.5 + 0.25j]],
                "fine": [-1 + 1e300j, 2j],
            }


def test_sessions_are_configured_as_tensorflow_reads_it(base: Path) -> None:
    import tensorflow as tf

    from tiphys.serving.model import tf_library

    wanted = SessionOptions(2, 3, 0.25)
    official = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=2,
        inter_op_parallelism_threads=3,
        gpu_options=tf.compat.v1.GPUOptions(per_process_gpu_memory_fraction=0.25),
    )
    assert tf.compat.v1.ConfigProto.FromString(tf_library._config(wanted)) == official
    assert tf_library._config(SessionOptions()) == b""
    servable = load(base / "1", wanted)
    try:
        assert servable.run("half", {"x": Tensor("DT_FLOAT", (1,), [1.0])})["y"].values[0] == 2.5
    finally:
        servable.close()


def test_metadata(client: ServingClient) -> None:
    document = client.metadata()["metadata"]["signature_def"]["signature_def"]
    images = document["serving_default"]["inputs"]["images"]
    assert images["dtype"] == "DT_UINT8"
    assert [dim["size"] for dim in images["tensor_shape"]["dim"]] == ["-1", "28", "28"]
    assert document["serving_default"]["method_name"] == "tensorflow/serving/predict"
    # protobuf prints the signature that initialises the model, too
    assert document["__saved_model_init_op"]["outputs"]["__saved_model_init_op"]["dtype"] == "DT_INVALID"


@pytest.mark.parametrize(
    ("instances", "part"),
    [
        ([[1, 2]], "shape"),
        ([[[1.5] * 28] * 28], "JSON Value: 1.5 Type: Number is not of expected type: uint8"),
        (
            [[[0] * 28] * 27 + [[0] * 27]],
            "Encountered list at unexpected size: 27 at level: 1 expected size: 28",
        ),
    ],
)
def test_wrong_inputs_are_the_clients_fault(client: ServingClient, instances: Any, part: str) -> None:
    with pytest.raises(ServingError) as caught:
        client.predict(instances=instances)
    assert "HTTP 400" in caught.value.message
    assert part in caught.value.cause


def test_batched_answers_are_the_same(base: Path, client: ServingClient) -> None:
    images = [
        [[(row * column * number) % 256 for column in range(28)] for row in range(28)] for number in range(16)
    ]
    expected = client.predict(instances=images)
    batching = BatchParameters(
        enabled=True, max_batch_size=8, num_batch_threads=1, allowed_batch_sizes=(1, 2, 4, 8)
    )
    found: dict[int, Any] = {}
    with server(base, batching=batching) as running:

        def ask(index: int) -> None:
            with ServingClient(running.url, "m", timeout=60) as one:
                found[index] = one.predict(instances=[images[index]])[0]

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(images))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [found[index] for index in range(16)] == [pytest.approx(row, rel=1e-4) for row in expected]


def test_a_folder_that_is_no_saved_model(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    (tmp_path / "1").mkdir()
    with pytest.raises(ServingError) as caught:
        server(tmp_path).start()
    assert "Could not find SavedModel .pb or .pbtxt" in caught.value.cause
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"this is no protobuf")
    with pytest.raises(ServingError) as caught:
        server(tmp_path).start()
    assert "version 1 of model m cannot be loaded" in caught.value.cause


def test_a_client_of_triton_gets_every_type(base: Path) -> None:
    client = pytest.importorskip("tritonclient.grpc")
    import numpy as np

    given = {
        "text": ("BYTES", np.array([b"a\0b", b"\xff"], object)),
        "whole": ("INT64", np.array([[2**62, -1], [0, 1]])),
        "flag": ("BOOL", np.array([True, False])),
        "real": ("FP64", np.array([1.5, -2.0])),
        "small": ("INT8", np.array([-128, 127], np.int8)),
    }
    inputs = []
    for name, (datatype, value) in given.items():
        inputs.append(client.InferInput(name, list(value.shape), datatype))
        inputs[-1].set_data_from_numpy(value)
    with server(base, grpc_port=0) as running:
        triton = client.InferenceServerClient(running.grpc_address)
        answer = triton.infer("m", inputs, parameters={"signature_name": "echo"})
        for name, (_, value) in given.items():
            assert answer.as_numpy(name).tolist() == value.tolist()
        assert answer.as_numpy("half").dtype == np.float16
        assert answer.as_numpy("half").tolist() == [1.5, -2.0]
        half = client.InferInput("half", [2], "FP16")
        half.set_data_from_numpy(np.array([1.5, 2], np.float16))
        with pytest.raises(client.InferenceServerException, match="the inputs are fine, half, wave"):
            triton.infer("m", [half], parameters={"signature_name": "waves"})
        # TensorFlow, too, is asked to say no, and not to end
        images = client.InferInput("images", [1, 7], "UINT8")
        images.set_data_from_numpy(np.zeros((1, 7), np.uint8))
        with pytest.raises(client.InferenceServerException, match="INVALID_ARGUMENT"):
            triton.infer("m", [images])
        triton.close()
