"""What an algorithm, and what a request for it, may be. Raised before anything is queued."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tiphys.argo.quantity import whole_quantity
from tiphys.compiler.line import Site
from tiphys.dsl.durations import whole_seconds
from tiphys.errors import DefinitionError, RefusedError, TrainingServiceError, did_you_mean
from tiphys.registry.names import check_model_name
from tiphys.training.folders import WorkflowSettings
from tiphys.training.job import Algorithm, TrainingJob, TrainingRequest
from tiphys.training.profiles import PROFILES, fixed_variables, parameter_variables, reserved

__all__ = ["KINDS", "LARGEST", "check_algorithm", "check_request"]

KINDS = ("container", "tfjob", "pytorchjob", "jobset")
LARGEST = 64 << 10
"""Bytes that the parameters of a request, or the texts of an algorithm, may have together: a Workflow has some of them
more than once, and at most 1 MiB."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9][\w./:@-]{0,499}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_SECRET = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_DATASET = re.compile(r"(pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[\w.-]+(/[\w.-]+)*/?", re.ASCII)
_VERSION = re.compile(r"(sha256:)?[\w.=+-]{1,128}", re.ASCII)
_WORKERS = 1000


def check_algorithm(algorithm: Algorithm) -> None:
    """Raises TrainingServiceError TIP810."""
    if not _NAME.fullmatch(algorithm.name):
        raise _wrong(algorithm, f"name {algorithm.name!r}", "letters, digits and '-', '_', '.'; at most 63")
    if not _IMAGE.fullmatch(algorithm.image):
        raise _wrong(algorithm, f"image {algorithm.image!r}", "give the name of an image")
    _one_of(algorithm, "kind", algorithm.kind, KINDS)
    _one_of(algorithm, "profile", algorithm.profile, PROFILES)
    _check_gang(algorithm)
    for what, text, unit in (("cpu", algorithm.cpu, "m"), ("memory", algorithm.memory, "")):
        try:
            if text and whole_quantity(text, unit) < 1:
                raise ValueError
        except ValueError:
            raise _wrong(
                algorithm, f"{what} {text!r}", "a quantity of Kubernetes: 500m, 2, 512Mi, 1Gi"
            ) from None
    if not 0 <= algorithm.gpus <= 1024:
        raise _wrong(algorithm, f"gpus {algorithm.gpus}", "0, or how many each worker has")
    if not 0 <= algorithm.retries <= 20:
        raise _wrong(algorithm, f"retries {algorithm.retries}", "a number from 0 to 20")
    try:
        whole_seconds(algorithm.deadline, "deadline", Site("", 0))
    except DefinitionError:
        raise _wrong(algorithm, f"deadline {algorithm.deadline!r}", "a duration: 30m, 2h, 7d") from None
    texts = [*algorithm.command, *algorithm.args, *algorithm.env, *algorithm.env.values()]
    if sum(len(each.encode()) for each in texts) > LARGEST:
        raise _wrong(
            algorithm, "too long texts", f"command, args and env have at most {LARGEST} bytes together"
        )
    if any("\0" in each for each in texts):
        raise _wrong(algorithm, "a text with a zero byte", "leave it out")
    _check_variables(algorithm)


def _check_gang(algorithm: Algorithm) -> None:
    if not 1 <= algorithm.workers <= _WORKERS:
        raise _wrong(algorithm, f"workers {algorithm.workers}", f"a number from 1 to {_WORKERS}")
    if algorithm.kind == "container" and algorithm.workers > 1:
        raise _wrong(
            algorithm, f"kind 'container' with {algorithm.workers} workers", "tfjob, pytorchjob or jobset"
        )
    if algorithm.profile == "sagemaker" and algorithm.workers > 1 and algorithm.kind != "jobset":
        raise _wrong(
            algorithm,
            f"profile 'sagemaker' with {algorithm.workers} workers of kind {algorithm.kind!r}",
            "kind jobset: only there a worker is told which of SM_HOSTS it is",
        )


def _check_variables(algorithm: Algorithm) -> None:
    given = [*algorithm.env, *(each.variable for each in algorithm.secrets)]
    fixed = _fixed_names(algorithm)
    for name in given:
        if not _VARIABLE.fullmatch(name):
            raise _wrong(algorithm, f"variable {name!r}", "letters, digits and '_'")
        if name in fixed or name.startswith("TIPHYS_"):
            raise _wrong(algorithm, f"variable {name}", "the service sets it itself: leave it out")
    for name in given:
        if given.count(name) > 1:
            raise _wrong(algorithm, f"the variable {name} twice", "leave one of them out")
    for each in algorithm.secrets:
        if not _SECRET.fullmatch(each.secret) or not _KEY.fullmatch(each.key):
            raise _wrong(
                algorithm,
                f"secret {each.secret!r}, key {each.key!r}",
                "the name of a Secret, and a key of it",
            )


def check_request(request: TrainingRequest, algorithm: Algorithm) -> None:
    """Raises TrainingServiceError: TIP811 for what is not legal, TIP812 for a parameter that would override a variable
    of the service, the platform, the profile or the algorithm."""
    if len(request.name) > 200 or not request.name.isprintable():
        raise _refused("name", request.name, "at most 200 characters, in one line")
    if request.dataset_id and (
        not _DATASET.fullmatch(request.dataset_id) or _dots(request.dataset_id.removeprefix("pvc://"))
    ):
        raise _refused("dataset_id", request.dataset_id, "a folder of datasets/, or pvc://CLAIM/FOLDER")
    if request.dataset_version and (
        not _VERSION.fullmatch(request.dataset_version) or _dots(request.dataset_version)
    ):
        raise _refused("train_data_version_hash", request.dataset_version, "sha256:… or a version's name")
    if request.dataset_version and not request.dataset_id:
        raise _refused("train_data_version_hash", request.dataset_version, "say of which dataset: dataset_id")
    if request.output_model_name:
        try:
            check_model_name(request.output_model_name)
        except RefusedError as error:
            raise _refused("output_model_name", request.output_model_name, error.fix) from None
    if len(request.request_id) > 200 or not request.request_id.isprintable():
        raise _refused("request_id", request.request_id, "at most 200 characters, in one line")
    if not -(2**31) <= request.priority < 2**31:
        raise _refused("priority", str(request.priority), "a whole number of 32 bits")
    if sum(len(f"{name}{value}".encode()) for name, value in request.parameters.items()) > LARGEST:
        raise _refused("parameters", "…", f"at most {LARGEST} bytes together: what is more is data")
    _check_parameters(request, algorithm)


def _check_parameters(request: TrainingRequest, algorithm: Algorithm) -> None:
    taken = {*algorithm.env, *(each.variable for each in algorithm.secrets)}
    seen: dict[str, str] = {}
    pattern = _VARIABLE if algorithm.profile == "book" else _PARAMETER
    for name, value in request.parameters.items():
        if not pattern.fullmatch(name):
            raise _refused(
                "the parameter", name, "letters, digits, '_' and, but in the profile book, '-' and '.'"
            )
        if "\0" in value:
            raise _refused(f"the value of {name}", value, "no variable can have a zero byte")
    for name in request.parameters:
        (variable,) = parameter_variables(algorithm.profile, {name: ""}) or (name,)
        own = algorithm.profile in ("tiphys", "sagemaker")  # there a parameter has a name of its own
        if variable in taken or (not own and reserved(algorithm.profile, name)):
            raise TrainingServiceError(
                "TIP812",
                f"the parameter {name} would override the variable {variable}",
                where=f"parameters of a job of {request.algorithm}",
                cause="it is of the algorithm"
                if variable in taken
                else "it is of the service or its platform",
                fix="give the parameter another name",
            )
        if variable in seen:
            raise TrainingServiceError(
                "TIP812",
                f"the parameters {seen[variable]} and {name} are one variable: {variable}",
                where=f"parameters of a job of {request.algorithm}",
                fix="leave one of them out",
            )
        seen[variable] = name


def _dots(path: str) -> bool:
    return any(part in ("", ".", "..") for part in path.rstrip("/").split("/"))


def _fixed_names(algorithm: Algorithm) -> set[str]:
    """The variables that the service sets in any job of an algorithm."""
    request = TrainingRequest(algorithm.name, dataset_id="d")
    job = TrainingJob(0, request, "", "", algorithm.version, "train-0")
    return set(fixed_variables(job, algorithm, WorkflowSettings()))


def _one_of(algorithm: Algorithm, what: str, value: str, allowed: Iterable[str]) -> None:
    known = list(allowed)
    if value not in known:
        raise _wrong(
            algorithm, f"{what} {value!r}.{did_you_mean(value, known)}", f"one of: {', '.join(known)}"
        )


def _wrong(algorithm: Algorithm, what: str, fix: str) -> TrainingServiceError:
    return TrainingServiceError("TIP810", f"the algorithm {algorithm.name!r} has {what}", fix=fix)


def _refused(what: str, value: str, fix: str) -> TrainingServiceError:
    return TrainingServiceError(
        "TIP811", f"{what} {value[:100]!r} is not legal", where="the request", fix=fix
    )
