"""What an author gives a job, where it is wrong; the cases of each kind are with the kind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dsl import library
from tiphys import Again, DefinitionError, MoreMemory, OnFailure, PyTorchJob
from tiphys.compiler.line import caller
from tiphys.dsl.job_checks import module_of, one_of
from tiphys.dsl.names import check_options


def test_one_of_what_there_is() -> None:
    one_of("kind", "a", ("a", "b"), "train", caller())
    with pytest.raises(DefinitionError, match="kind='c'"):
        one_of("kind", "c", ("a", "b"), "train", caller())


def test_options_by_their_names() -> None:
    check_options(["cache"], ["cache"], "train", caller())
    with pytest.raises(DefinitionError, match="Did you mean 'cache'"):
        check_options(["cahce"], ["cache"], "train", caller())


def test_a_function_that_no_worker_could_import() -> None:
    def train(output: str, work: str) -> None: ...

    with pytest.raises(DefinitionError) as caught:
        PyTorchJob(train)
    assert caught.value.code == "TIP110"
    assert module_of(library.train, caller())[0] == "tests.dsl.library"


@pytest.mark.parametrize(
    "follows",
    [
        OnFailure(oom=MoreMemory()),
        OnFailure(timeout=Again()),
        OnFailure(preempted=Again(2, within="1h")),
        "again",
    ],
)
def test_of_a_jobs_causes_argo_is_told_one(follows: Any) -> None:
    with pytest.raises(DefinitionError) as caught:
        PyTorchJob(library.train, on_failure=follows)
    assert (
        caught.value.code == "TIP105" and "on_failure" in str(caught.value)
    ) or "PyTorchJob has only" in str(caught.value)


@pytest.mark.parametrize(
    "folders", [{"outptu": "pvc://tiphys/m"}, {"output": "pvc://tiphys/../m"}, {"output": "/mnt/m"}]
)
def test_folders_that_there_are_not(folders: dict[str, str]) -> None:
    with pytest.raises(DefinitionError) as caught:
        PyTorchJob(library.train, folders=folders)
    assert caught.value.code in ("TIP101", "TIP103")
