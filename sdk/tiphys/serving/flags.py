"""``tensorflow_model_server``'s flags (main.cc) as a :class:`ServerConfig`."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

from tiphys.errors import did_you_mean
from tiphys.net import HttpLimits
from tiphys.serving.config_messages import read_text
from tiphys.serving.loading import load as load_saved_model
from tiphys.serving.model.batching import BatchParameters
from tiphys.serving.model.manager import ModelConfig
from tiphys.serving.model.servable import Loader, SessionOptions
from tiphys.serving.server import ServerConfig

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject

__all__ = ["FlagError", "Options", "parse"]

log = logging.getLogger("tiphys.serving")
T = TypeVar("T")
_PROTOCOLS = ("tensorflow", "kserve-v1")
_METRICS = "/monitoring/prometheus/metrics"


class FlagError(Exception):
    """A flag or a configuration file is wrong; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Options:
    config: ServerConfig
    grpc_port: int
    health_service: bool
    exit_with_stdin: bool
    lame_duck_seconds: float
    """After SIGTERM, requests are still taken for this long."""
    ignored: list[str]
    """Flags that were given and have no effect here."""


# flags with no effect here: what they tune does not exist or is TensorFlow's own business
_IGNORED = (
    "allow_version_labels_for_unavailable_models",
    "batching_session_parallelism",
    "enable_per_model_batching_parameters",
    "enable_profiler",
    "enable_serialization_as_tensor_content",
    "enable_signature_method_name_check",
    "flush_filesystem_caches",
    "force_allow_any_version_labels_for_unavailable_models",
    "grpc_max_threads",
    "mixed_precision",
    "num_load_threads",
    "num_request_iterations_for_warmup",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
    "num_unload_threads",
    "remove_unused_fields_from_bundle_metagraph",
    "skip_initialize_tpu",
    "tensorflow_session_config_file",
    "tensorflow_session_parallelism",
    "thread_pool_factory_config_file",
    "xla_cpu_compilation_enabled",
)
# flags that change what is served or how safely: better not to start than to leave them out
_REFUSED = (
    "grpc_socket_path",
    "platform_config_file",
    "prefer_tflite_model",
    "saved_model_tags",
    "ssl_config_file",
    "use_alts_credentials",
)


def _bool(text: str) -> bool:
    if text.lower() in ("true", "1", "t", "yes", "y"):
        return True
    if text.lower() in ("false", "0", "f", "no", "n"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FlagError(message)


def _channel_arguments(text: str) -> tuple[tuple[str, int | str], ...]:
    """As the original reads them: what has no one `=` is nothing, and a value that is a number is one."""
    pairs = [part.split("=") for part in text.split(",")]
    return tuple(
        (pair[0], int(pair[1]) if re.fullmatch(r"-?\d{1,9}", pair[1]) else pair[1])
        for pair in pairs
        if len(pair) == 2
    )


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m tiphys.serving",
        description="Serve SavedModels over TensorFlow Serving's REST API. The flags are those of "
        "tensorflow_model_server.",
        epilog="example: python -m tiphys.serving --model_name=fashion --model_base_path=/models/fashion",
        allow_abbrev=False,
    )
    add = parser.add_argument
    env = os.environ
    # the image tensorflow/serving sets its flags from these two variables
    name = env.get("MODEL_NAME")
    base = f"{env.get('MODEL_BASE_PATH', '/models')}/{name}" if name else ""
    add("--model_name", default=name or "default", help="name of the model (default: %(default)s)")
    add("--model_base_path", default=base, help="folder with one folder for each version, named by numbers")
    add("--model_config_file", default="", help="ModelServerConfig as text protobuf, for several models")
    add("--model_config_file_poll_wait_seconds", type=float, default=0.0, help="0: read it once")
    add("--rest_api_port", type=int, default=8501, help="port of the REST API (default: %(default)s)")
    add("--port", type=int, default=8500, help="port of the gRPC API (default: %(default)s)")
    add(
        "--grpc_channel_arguments",
        default="",
        help="of the gRPC server, for example grpc.max_connection_age_ms=30000",
    )
    add("--rest_api_timeout_in_ms", type=int, default=30000, help="for one request (default: %(default)s)")
    add("--rest_api_num_threads", type=int, default=0, help="threads that run the model (default: the CPUs)")
    add("--rest_api_enable_cors_support", type=_bool, nargs="?", const=True, default=False)
    add("--file_system_poll_wait_seconds", type=float, default=1.0, help="0: read the versions once")
    add("--max_num_load_retries", type=int, default=5)
    add("--load_retry_interval_micros", type=int, default=60_000_000)
    add(
        "--tensorflow_intra_op_parallelism",
        type=int,
        default=0,
        help="threads within an operation (0: the CPUs)",
    )
    add(
        "--tensorflow_inter_op_parallelism",
        type=int,
        default=0,
        help="operations beside each other (0: the CPUs)",
    )
    add("--per_process_gpu_memory_fraction", type=float, default=0.0, help="of a GPU, at most (0: all of it)")
    add(
        "--enable_model_warmup",
        type=_bool,
        nargs="?",
        const=True,
        default=True,
        help="run a version once first",
    )
    add("--enable_batching", type=_bool, nargs="?", const=True, default=False, help="merge requests")
    add("--batching_parameters_file", default="", help="BatchingParameters as text protobuf")
    add("--monitoring_config_file", default="", help="MonitoringConfig as text protobuf")
    add("--enable_grpc_healthcheck_service", type=_bool, nargs="?", const=True, default=False)
    add("--version", type=_bool, nargs="?", const=True, default=False, help="print the version and end")
    own = parser.add_argument_group("of this server")
    own.add_argument(
        "--tiphys_loader", default="", metavar="MODULE:FUNCTION", help="loads a version's folder"
    )
    own.add_argument(
        "--tiphys_batching",
        type=_bool,
        nargs="?",
        const=True,
        default=False,
        help="merge requests where the model takes any number of rows, unless --enable_batching says how",
    )
    own.add_argument(
        "--tiphys_protocol",
        choices=_PROTOCOLS,
        default=_PROTOCOLS[0],
        help="whose paths below /v1/models, where they differ (default: %(default)s)",
    )
    own.add_argument("--tiphys_max_body_bytes", type=int, default=HttpLimits().body_bytes)
    own.add_argument("--tiphys_exit_with_stdin", action="store_true", help="end when stdin is closed")
    # in a pod: the cluster's proxies go on sending requests for a moment after a pod was told to end (a local
    # replica, which has TIPHYS_POD_IP, is drained first, wherever this machine may run)
    duck = 3.0 if env.get("KUBERNETES_SERVICE_HOST") and not env.get("TIPHYS_POD_IP") else 0.0
    own.add_argument("--tiphys_lame_duck_seconds", type=float, default=duck, help="(default: %(default)s)")
    own.add_argument("--tiphys_drain_seconds", type=float, default=30.0)
    for flag in (*_IGNORED, *_REFUSED):
        add(f"--{flag}", nargs="?", const="true", help=argparse.SUPPRESS)
    return parser


def parse(arguments: Sequence[str]) -> Options | None:
    """The options; None when only ``--version`` was asked for. Raises FlagError."""
    parser = _parser()
    options, unknown = parser.parse_known_args(list(arguments))
    if unknown:
        known = [flag for action in parser._actions for flag in action.option_strings]
        name = unknown[0].partition("=")[0]
        raise FlagError(f"unknown argument: {unknown[0]}{did_you_mean(name, known)}")
    if options.version:
        return None
    for flag in _REFUSED:
        if getattr(options, flag) not in (None, "", "false"):
            raise FlagError(f"--{flag} is not supported by this server")
    reload = None
    if options.model_config_file:
        reload = partial(_read, options.model_config_file, "ModelServerConfig", _models)
        models = reload()
    elif options.model_base_path:
        models = [ModelConfig(options.model_name, Path(options.model_base_path))]
    else:
        raise FlagError("--model_base_path or --model_config_file is required")
    for flag in ("port", "rest_api_port"):
        if not 0 <= getattr(options, flag) < 65536:
            raise FlagError(f"--{flag} must be between 0 and 65535, not {getattr(options, flag)}")
    if options.port and options.port == options.rest_api_port:
        raise FlagError("--rest_api_port cannot be same as --port")
    session = SessionOptions(
        options.tensorflow_intra_op_parallelism,
        options.tensorflow_inter_op_parallelism,
        options.per_process_gpu_memory_fraction,
    )
    if (
        min(session.intra_op_threads, session.inter_op_threads) < 0
        or not 0 <= session.gpu_memory_fraction <= 1
    ):
        raise FlagError("threads are not negative, and a fraction is between 0 and 1")
    timeout = options.rest_api_timeout_in_ms
    metrics = _METRICS
    if options.monitoring_config_file:
        metrics = _read(options.monitoring_config_file, "MonitoringConfig", _monitoring)
    config = ServerConfig(
        models=models,
        host=os.environ.get("TIPHYS_POD_IP") or "0.0.0.0",
        port=options.rest_api_port,
        grpc_port=options.port or None,
        grpc_arguments=_channel_arguments(options.grpc_channel_arguments),
        timeout=timeout / 1000 if timeout > 0 else None,
        poll_seconds=options.file_system_poll_wait_seconds,
        batching=_batching(options),
        cors=options.rest_api_enable_cors_support,
        max_load_retries=options.max_num_load_retries,
        retry_seconds=options.load_retry_interval_micros / 1e6,
        drain_seconds=options.tiphys_drain_seconds,
        reload=reload,
        reload_seconds=options.model_config_file_poll_wait_seconds,
        limits=HttpLimits(body_bytes=options.tiphys_max_body_bytes),
        metrics_path=metrics,
        kserve=options.tiphys_protocol != _PROTOCOLS[0],
        loader=_loader(options.tiphys_loader)
        if options.tiphys_loader
        else partial(load_saved_model, options=session, warm=options.enable_model_warmup),
    )
    ignored = [flag for flag in _IGNORED if getattr(options, flag) is not None]
    return Options(
        config,
        options.port,
        options.enable_grpc_healthcheck_service,
        options.tiphys_exit_with_stdin,
        options.tiphys_lame_duck_seconds,
        ignored,
    )


def help_text() -> str:
    return _parser().format_help()


def _loader(text: str) -> Loader:
    module, _, name = text.partition(":")
    try:
        loader: Loader = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise FlagError(f"--tiphys_loader={text}: {error}") from error
    return loader


def _read(path: str, kind: str, build: Callable[[JsonObject], T]) -> T:
    try:
        return build(read_text(kind, Path(path).read_text("utf-8")))
    except OSError as error:
        raise FlagError(f"{path}: {error.strerror}") from error
    except ImportError as error:
        raise FlagError(f"{path}: protobuf reads it, which is not installed: {error}") from error
    except (ValueError, OverflowError) as error:
        raise FlagError(f"Invalid protobuf file: '{path}': {error}") from error


def _models(message: JsonObject) -> list[ModelConfig]:
    if "custom_model_config" in message:
        raise ValueError("custom_model_config is not supported by this server")
    models = [_model(each) for each in _each(_inside(message, "model_config_list"), "config")]
    if not models:
        raise ValueError("it names no model")
    names = [model.name for model in models]
    if len(set(names)) != len(names):
        raise ValueError("Illegal to list model with same name twice")
    return models


def _model(entry: JsonObject) -> ModelConfig:
    name, base = str(entry.get("name", "")), str(entry.get("base_path", ""))
    if not name or not base:
        raise ValueError("each config has a name and a base_path")
    policy = _inside(entry, "model_version_policy")
    latest, versions = _number(_inside(policy, "latest"), "num_versions", 1), None
    if "all" in policy:
        latest = 0
    elif "specific" in policy:
        versions = _numbers(_inside(policy, "specific"), "versions")
    labels = {str(each.get("key", "")): _number(each, "value", 0) for each in _each(entry, "version_labels")}
    chains = {
        str(each.get("label", "")): _numbers(each, "versions") for each in _each(entry, "tiphys_chains")
    }
    weights: dict[str, dict[int, int]] = {}
    for each in _each(entry, "tiphys_weights"):
        of = weights.setdefault(str(each.get("label", "")), {})
        of[_number(each, "version", 0)] = _number(each, "percent", 0)
    if "logging_config" in entry:
        raise ValueError(
            "No request-logger-creator provided."
        )  # as what is released of TensorFlow Serving says
    return ModelConfig(name, Path(base), latest, versions, labels, chains, weights)


def _inside(message: JsonObject, name: str) -> JsonObject:
    return cast("JsonObject", message.get(name, {}))


def _each(message: JsonObject, name: str) -> list[JsonObject]:
    return cast("list[JsonObject]", message.get(name, []))


def _number(message: JsonObject, name: str, default: int) -> int:
    return int(cast("str | float", message.get(name, default)))


def _numbers(message: JsonObject, name: str) -> tuple[int, ...]:
    return tuple(int(each) for each in cast("list[str | int]", message.get(name, [])))


def _batching(options: argparse.Namespace) -> BatchParameters | None:
    cpus = options.rest_api_num_threads or os.cpu_count() or 1
    if not options.enable_batching:
        if options.batching_parameters_file:
            raise FlagError("You supplied --batching_parameters_file without --enable_batching")
        if options.tiphys_batching:
            return BatchParameters(enabled=True, open_only=True, num_batch_threads=cpus)
        return BatchParameters(num_batch_threads=cpus, max_enqueued_batches=1024)
    if not options.batching_parameters_file:
        return BatchParameters(enabled=True, num_batch_threads=cpus)

    def build(message: JsonObject) -> BatchParameters:
        sizes = _numbers(message, "allowed_batch_sizes")
        largest = _number(message, "max_batch_size", 1000)
        if sizes and (list(sizes) != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] != largest):
            raise ValueError("allowed_batch_sizes must be increasing, and end with max_batch_size")
        wait = _number(message, "batch_timeout_micros", 0)
        threads = _number(message, "num_batch_threads", cpus)
        queued = _number(message, "max_enqueued_batches", 10)
        for name, value in (
            ("max_batch_size", largest),
            ("num_batch_threads", threads),
            ("max_enqueued_batches", queued),
        ):
            if value < 1:
                raise ValueError(f"{name} must be positive; was {value}")
        if wait < 0:
            raise ValueError(f"batch_timeout_micros must be non-negative; was {wait}")
        if message.get("pad_variable_length_inputs"):
            log.warning("pad_variable_length_inputs has no effect: inputs of a batch have the same shape")
        return BatchParameters(
            enabled=True,
            max_batch_size=largest,
            batch_timeout_micros=wait,
            num_batch_threads=threads,
            max_enqueued_batches=queued,
            allowed_batch_sizes=sizes,
        )

    return _read(options.batching_parameters_file, "BatchingParameters", build)


def _monitoring(message: JsonObject) -> str:
    """The path of the metrics; empty: they are not to be shown."""
    prometheus = _inside(message, "prometheus_config")
    return str(prometheus.get("path") or _METRICS) if prometheus.get("enable") else ""
