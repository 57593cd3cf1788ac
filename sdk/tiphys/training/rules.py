"""What the training service refuses before it queues anything: an algorithm or a request that could never train."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tiphys.argo.paths import label_problem
from tiphys.argo.quantity import whole_quantity
from tiphys.compiler.line import Site
from tiphys.dsl.durations import whole_seconds
from tiphys.errors import DefinitionError, TrainingServiceError, did_you_mean
from tiphys.registry.names import check_model_name
from tiphys.training.job import Algorithm, TrainingRequest
from tiphys.training.profiles import PROFILES, is_reserved

__all__ = ["KINDS", "check_algorithm", "check_request", "seconds"]

KINDS = ("container", "tfjob", "pytorchjob", "jobset")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_LONGEST = 4096  # characters of a text
_MOST = 1000  # parameters, arguments, variables
_ALL = 256 << 10  # bytes of a request: a Workflow has at most 1 MiB, and they are in it twice
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,7}")
_VERSION = re.compile(r"(sha256:[0-9a-f]{64}|[A-Za-z0-9][A-Za-z0-9._=+-]{0,127})")


def check_algorithm(algorithm: Algorithm) -> None:
    """Raises TrainingServiceError TIP810 with the field and what is wrong with it."""
    if label_problem(algorithm.name):
        raise _wrong("name", f"{algorithm.name[:80]!r} is no name", "at most 63 of a-z, 0-9 and '-'")
    if not algorithm.image or not re.fullmatch(r"[!-~]{1,255}", algorithm.image) or "{{" in algorithm.image:
        raise _wrong("image", f"{algorithm.image[:80]!r} is no image", "name the image that trains")
    _one_of("kind", algorithm.kind, KINDS)
    _one_of("profile", algorithm.profile, PROFILES)
    if not 1 <= algorithm.workers <= 1000 or (algorithm.kind == "container" and algorithm.workers != 1):
        raise _wrong(
            "workers",
            f"{algorithm.workers} of kind {algorithm.kind}",
            "a container is one; several: tfjob, pytorchjob",
        )
    if algorithm.kind != "container" and not algorithm.command:
        raise _wrong(
            "command", "a job of several workers needs one", 'for example command: ["python", "train.py"]'
        )
    for field, unit in (("cpu", "m"), ("memory", "")):
        if text := getattr(algorithm, field):
            try:
                whole_quantity(text, unit)
            except ValueError as error:
                raise _wrong(field, str(error), 'write "2" or "500m", "4Gi"') from None
    if not 0 <= algorithm.gpus <= 1024 or not 0 <= algorithm.retries <= 100:
        raise _wrong("gpus, retries", "out of range", "0 to 1024 GPUs, 0 to 100 retries")
    seconds(algorithm)
    if max(len(algorithm.command), len(algorithm.args), len(algorithm.env), len(algorithm.secrets)) > _MOST:
        raise _wrong("command, args, env", "too many", f"at most {_MOST} of each")
    _check_texts(
        {
            "command": " ".join(algorithm.command),
            "args": " ".join(algorithm.args),
            **{f"env.{name}": value for name, value in algorithm.env.items()},
        }
    )
    names = [*algorithm.env, *(each.variable for each in algorithm.secrets)]
    for name in names:
        if not _VARIABLE.fullmatch(name) or names.count(name) > 1:
            raise _wrong("env", f"{name[:80]!r}", "each variable is a name, and has one value")
        if is_reserved(name, algorithm.profile):
            raise _reserved(name, algorithm, "env")
    for each in algorithm.secrets:
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", each.secret) or not re.fullmatch(
            r"[-._a-zA-Z0-9]{1,253}", each.key
        ):
            raise _wrong(
                "secrets", f"{each.secret[:80]!r}, {each.key[:80]!r}", "name a Secret and a key of it"
            )


def check_request(request: TrainingRequest, algorithm: Algorithm) -> None:
    """Raises TrainingServiceError: TIP811 for a field that is wrong, TIP812 for a parameter that may not be given."""
    texts = {
        "name": request.name,
        "request_id": request.request_id,
        **{f"parameters.{name}": value for name, value in request.parameters.items()},
    }
    if len(request.parameters) > _MOST:
        raise _refused("parameters", f"{len(request.parameters)} of them", f"at most {_MOST}")
    if sum(len(key.encode()) + len(value.encode()) for key, value in texts.items()) > _ALL:
        raise _refused(
            "parameters", "too long together", f"at most {_ALL} bytes: give larger things as a data set"
        )
    _check_texts(texts)
    if (
        (
            request.dataset_id
            and not (
                re.fullmatch(r"pvc://[a-z0-9][-a-z0-9.]*/[!-~]+", request.dataset_id)
                or _DATASET.fullmatch(request.dataset_id)
            )
        )
        or ".." in request.dataset_id.split("/")
        or "{{" in request.dataset_id
    ):
        raise _refused("dataset_id", f"{request.dataset_id[:80]!r}", "a name, or pvc://CLAIM/FOLDER")
    if request.dataset_version and not _VERSION.fullmatch(request.dataset_version):
        raise _refused(
            "train_data_version_hash",
            f"{request.dataset_version[:80]!r}",
            "sha256:… of the manifest, or a name",
        )
    if request.output_model_name:
        check_model_name(request.output_model_name)
    if not -(2**31) <= request.priority < 2**31:
        raise _refused("priority", str(request.priority), "a whole number of 32 bits")
    for name in request.parameters:
        if not _PARAMETER.fullmatch(name):
            raise _refused("parameters", f"{name[:80]!r} is no name", "letters, digits, '_', '-' and '.'")
        if algorithm.profile == "book" and not _VARIABLE.fullmatch(name):
            raise _refused("parameters", f"{name[:80]!r} is no name of a variable", "letters, digits and '_'")
        if algorithm.profile == "book" and (
            is_reserved(name, "book")
            or name in algorithm.env
            or name in {each.variable for each in algorithm.secrets}
        ):
            raise _reserved(name, algorithm, "parameters")


def seconds(algorithm: Algorithm) -> int:
    """The deadline. Raises TrainingServiceError TIP810."""
    try:
        return whole_seconds(algorithm.deadline or "24h", "deadline", Site("", 0))
    except DefinitionError as error:
        raise _wrong("deadline", error.message, 'write "2h" or "30m"') from None


def _check_texts(texts: Mapping[str, str]) -> None:
    """Raises TIP811 for what would not arrive as it is."""
    for field, text in texts.items():
        if len(text) > _LONGEST:
            raise _refused(field, f"{len(text)} characters", f"at most {_LONGEST}")
        if "{{" in text:
            raise _refused(
                field, "it holds '{{'", "Argo would take that for its own: write it in another way"
            )
        if "\x00" in text:
            raise _refused(field, "it holds a null character", "no environment variable can")


def _one_of(field: str, value: str, allowed: Mapping[str, object] | tuple[str, ...]) -> None:
    if value not in allowed:
        raise _wrong(field, f"{value[:80]!r}.{did_you_mean(value, allowed)}", f"one of {', '.join(allowed)}")


def _reserved(name: str, algorithm: Algorithm, field: str) -> TrainingServiceError:
    return TrainingServiceError(
        "TIP812",
        f"{field}: {name} is set by the service, or by the algorithm {algorithm.name}",
        cause=f"it tells a training of the profile {algorithm.profile!r} where it is, and nobody may say otherwise",
        fix="give the parameter another name",
    )


def _wrong(field: str, problem: str, fix: str) -> TrainingServiceError:
    return TrainingServiceError("TIP810", f"algorithm: {field}: {problem}", fix=fix)


def _refused(field: str, problem: str, fix: str) -> TrainingServiceError:
    return TrainingServiceError("TIP811", f"{field}: {problem}", fix=fix)
