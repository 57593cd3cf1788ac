# ruff: noqa: E501 - tables of requests and messages, one a line
"""tensorflow_model_server's flags and configuration files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tiphys.serving.flags import FlagError, Options, parse
from tiphys.serving.model.servable import SessionOptions


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIPHYS_POD_IP", "MODEL_NAME", "MODEL_BASE_PATH"):
        monkeypatch.delenv(name, raising=False)


def options(*arguments: str) -> Options:
    found = parse(arguments)
    assert found is not None
    return found


def test_the_missions_own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIPHYS_POD_IP", "127.22.0.1")
    found = options(
        "--model_name=fashion-mnist",
        "--model_base_path=/mnt/tiphys/models/abc",
        "--rest_api_port=8501",
        "--port=8500",
    )
    (model,) = found.config.models
    assert (model.name, model.base_path) == ("fashion-mnist", Path("/mnt/tiphys/models/abc"))
    assert (found.config.host, found.config.port, found.grpc_port) == ("127.22.0.1", 8501, 8500)
    assert found.config.timeout == 30.0 and found.config.poll_seconds == 1.0
    assert found.ignored == []


def test_in_a_pod_it_goes_on_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert options("--model_base_path=/m").lame_duck_seconds == 0
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert options("--model_base_path=/m").lame_duck_seconds == 3
    assert options("--model_base_path=/m", "--tiphys_lame_duck_seconds=0").lame_duck_seconds == 0


def test_values_may_stand_apart_and_booleans_alone() -> None:
    found = options("--model_base_path", "/m", "--enable_batching", "--rest_api_enable_cors_support=false")
    assert found.config.batching is not None and found.config.batching.enabled
    assert found.config.cors is False
    assert found.config.host == "0.0.0.0"


def test_the_images_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_NAME", "fashion")
    (model,) = options().config.models
    assert (model.name, model.base_path) == ("fashion", Path("/models/fashion"))
    monkeypatch.setenv("MODEL_BASE_PATH", "/elsewhere")
    assert options().config.models[0].base_path == Path("/elsewhere/fashion")


def test_how_tensorflow_runs_a_model() -> None:
    loader: Any = options(
        "--model_base_path=/m",
        "--tensorflow_intra_op_parallelism=2",
        "--tensorflow_inter_op_parallelism=3",
        "--per_process_gpu_memory_fraction=0.25",
        "--enable_model_warmup=false",
    ).config.loader
    assert loader.keywords == {"options": SessionOptions(2, 3, 0.25), "warm": False}


def test_channel_arguments_are_read_as_the_original_reads_them() -> None:
    given = "grpc.max_connection_age_ms=30000,grpc.primary_user_agent=me,nothing,a=b=c,"
    found = options("--model_base_path=/m", f"--grpc_channel_arguments={given}")
    assert found.config.grpc_arguments == (
        ("grpc.max_connection_age_ms", 30000),
        ("grpc.primary_user_agent", "me"),
    )
    assert options("--model_base_path=/m").config.grpc_arguments == ()


def test_flags_without_effect_are_said_to_be_so() -> None:
    found = options("--model_base_path=/m", "--tensorflow_session_parallelism=2", "--num_load_threads=4")
    assert found.ignored == ["num_load_threads", "tensorflow_session_parallelism"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--model_base_path or --model_config_file is required"),
        (["--model_base_path=/m", "--rest_api_prot=1"], "unknown argument: --rest_api_prot=1 Did you mean '--rest_api_port'"),
        (["--model_base_path=/m", "extra"], "unknown argument: extra"),
        (["--model_base_path=/m", "--rest_api_port=http"], "invalid int value: 'http'"),
        (["--model_base_path=/m", "--rest_api_port=70000"], "--rest_api_port must be between 0 and 65535"),
        (["--model_base_path=/m", "--port=8501"], "--rest_api_port cannot be same as --port"),
        (["--model_base_path=/m", "--enable_batching=maybe"], "'maybe' is neither true nor false"),
        (["--model_base_path=/m", "--ssl_config_file=/x"], "--ssl_config_file is not supported"),
        (["--model_base_path=/m", "--batching_parameters_file=/x"], "without --enable_batching"),
        (["--model_base_path=/m", "--enable_batching", "--batching_parameters_file=/no"], "/no: No such file"),
        (["--model_base_path=/m", "--tiphys_loader=no.such:thing"], "--tiphys_loader=no.such:thing: No module"),
        (["--model_config_file=/no"], "/no: No such file"),
        (["--model_base_path=/m", "--tensorflow_intra_op_parallelism=-1"], "threads are not negative"),
        (["--model_base_path=/m", "--per_process_gpu_memory_fraction=1.5"], "a fraction is between 0 and 1"),
    ],
)  # fmt: skip
def test_wrong_flags(arguments: list[str], message: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(arguments)
    assert message in str(caught.value)


def test_version_needs_nothing_else() -> None:
    assert parse(["--version"]) is None


def test_model_config_file(tmp_path: Path) -> None:
    # the example of tensorflow_serving/g3doc/serving_config.md, put together
    path = tmp_path / "models.config"
    path.write_text("""
        model_config_list: {   # two models
          config: {
            name: 'my_first_model'
            base_path: "/tmp/my_first_model/"
            model_platform: 'tensorflow'
            model_version_policy { specific { versions: 42 versions: 43 } }
            version_labels { key: 'stable' value: 42 }
            version_labels { key: 'canary' value: 43 }
          },
          config < name: "second" base_path: "/tmp/" "second"; model_version_policy: { all: {} } >
          config { name: "third" base_path: "/t" model_version_policy { latest { num_versions: 2 } } }
        }""")
    first, second, third = options(f"--model_config_file={path}").config.models
    assert (first.name, first.base_path) == ("my_first_model", Path("/tmp/my_first_model"))
    assert (first.versions, first.labels) == ((42, 43), {"stable": 42, "canary": 43})
    assert (second.base_path, second.latest, second.versions) == (Path("/tmp/second"), 0, None)
    assert third.latest == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "model_config_list {",
        "model_config_list { config { name: 'x' } }",
        "model_config_list: 1",
        "{",
        "model_config_list { config { name: 'a' base_path: '/a' } config { name: 'a' base_path: '/b' } }",
        "a" * 100 + "{" * 10_000,
        'model_config_list { config { name: "unclosed } }',
    ],
)
def test_wrong_config_files(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.config"
    path.write_text(text)
    with pytest.raises(FlagError, match="Invalid protobuf file"):
        parse([f"--model_config_file={path}"])


def test_batching_parameters_file(tmp_path: Path) -> None:
    path = tmp_path / "batching.config"
    path.write_text(
        "max_batch_size { value: 128 }\nbatch_timeout_micros { value: 2000 }\n"
        "max_enqueued_batches { value: 100 }\nnum_batch_threads { value: 8 }\n"
        "allowed_batch_sizes: [32, 64]\nallowed_batch_sizes: 128\n"
    )
    batching = options(
        "--model_base_path=/m", "--enable_batching", f"--batching_parameters_file={path}"
    ).config.batching
    assert batching is not None
    assert (batching.max_batch_size, batching.batch_timeout_micros) == (128, 2000)
    assert (batching.max_enqueued_batches, batching.num_batch_threads) == (100, 8)
    assert batching.allowed_batch_sizes == (32, 64, 128)
    path.write_text("max_batch_size { value: 128 } allowed_batch_sizes: 64")
    with pytest.raises(FlagError, match="end with max_batch_size"):
        parse(["--model_base_path=/m", "--enable_batching", f"--batching_parameters_file={path}"])


def test_monitoring_config_file(tmp_path: Path) -> None:
    path = tmp_path / "monitoring.config"
    path.write_text('prometheus_config { enable: true, path: "/metrics" }')
    found = options("--model_base_path=/m", f"--monitoring_config_file={path}")
    assert found.config.metrics_path == "/metrics"

    path.write_text("prometheus_config { enable: false }")
    assert options("--model_base_path=/m", f"--monitoring_config_file={path}").config.metrics_path == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("max_batch_siz { value: 8 }", 'no field named "max_batch_siz"'),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        ("max_batch_size { value: 4 } allowed_batch_sizes: [4, 4]", "must be increasing"),
        ("batch_timeout_micros { value: -1 }", "must be non-negative"),
    ],
)
def test_wrong_batching_parameters(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "batching.config"
    path.write_text(text)
    with pytest.raises(FlagError, match=problem):
        parse(["--model_base_path=/m", "--enable_batching", f"--batching_parameters_file={path}"])


def test_what_is_to_log_requests_is_refused_as_by_the_released_server(tmp_path: Path) -> None:
    """ServerRequestLogger has no creator there: server_core.cc, server_request_logger.cc."""
    file = tmp_path / "models.config"
    file.write_text(
        'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" '
        "logging_config { sampling_config { sampling_rate: 0.5 } } } }"
    )
    with pytest.raises(FlagError, match="No request-logger-creator provided"):
        options(f"--model_config_file={file}")


def test_whose_api_it_is() -> None:
    assert options("--model_base_path=/m").config.kserve is False
    assert options("--model_base_path=/m", "--tiphys_protocol=tensorflow").config.kserve is False
    assert options("--model_base_path=/m", "--tiphys_protocol=kserve-v1").config.kserve is True
    with pytest.raises(FlagError, match="invalid choice: 'kserve-v2'"):
        options("--model_base_path=/m", "--tiphys_protocol=kserve-v2")


def test_a_server_knows_no_balancer_of_others() -> None:
    code = "import sys, tiphys.serving.__main__; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "tiphys.serving.server" in loaded
    assert not {"tiphys.serving.balancer.envoy", "tiphys.serving.balancer.haproxy", "http.client"} & {*loaded}
