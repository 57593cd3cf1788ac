"""Tiphys: ML pipelines in Python, as Argo Workflows YAML, on a laptop or on Kubernetes.

The front door is small and loads lazily, so that ``import tiphys`` stays fast: ``to_yaml``, ``lint`` and
``run`` take a :class:`Pipeline`, any Hera workflow object, a mapping, or a path to YAML.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tiphys._version import __version__
from tiphys.lazy import asked_for

if TYPE_CHECKING:  # what the lazy names are, for type checkers and editors
    from tiphys.compiler.compile import to_yaml as to_yaml
    from tiphys.dsl import GCS as GCS
    from tiphys.dsl import HTTP as HTTP
    from tiphys.dsl import S3 as S3
    from tiphys.dsl import Again as Again
    from tiphys.dsl import Cache as Cache
    from tiphys.dsl import ConfigMap as ConfigMap
    from tiphys.dsl import Fake as Fake
    from tiphys.dsl import Gang as Gang
    from tiphys.dsl import Gate as Gate
    from tiphys.dsl import Gateway as Gateway
    from tiphys.dsl import Git as Git
    from tiphys.dsl import ModelRegistry as ModelRegistry
    from tiphys.dsl import MoreMemory as MoreMemory
    from tiphys.dsl import MPIJob as MPIJob
    from tiphys.dsl import Mutex as Mutex
    from tiphys.dsl import OnFailure as OnFailure
    from tiphys.dsl import Pipeline as Pipeline
    from tiphys.dsl import PodSettings as PodSettings
    from tiphys.dsl import PyTorchJob as PyTorchJob
    from tiphys.dsl import RayJob as RayJob
    from tiphys.dsl import Resource as Resource
    from tiphys.dsl import Resources as Resources
    from tiphys.dsl import Retry as Retry
    from tiphys.dsl import Scheduling as Scheduling
    from tiphys.dsl import Scratch as Scratch
    from tiphys.dsl import Secret as Secret
    from tiphys.dsl import Semaphore as Semaphore
    from tiphys.dsl import Serving as Serving
    from tiphys.dsl import Text as Text
    from tiphys.dsl import TFJob as TFJob
    from tiphys.dsl import Toleration as Toleration
    from tiphys.dsl import Volume as Volume
    from tiphys.dsl import XGBoostJob as XGBoostJob
    from tiphys.dsl import approve as approve
    from tiphys.dsl import argo_template as argo_template
    from tiphys.dsl import collect as collect
    from tiphys.dsl import component as component
    from tiphys.dsl import compose as compose
    from tiphys.dsl import container as container
    from tiphys.dsl import dag as dag
    from tiphys.dsl import enough as enough
    from tiphys.dsl import for_each as for_each
    from tiphys.dsl import http as http
    from tiphys.dsl import raw as raw
    from tiphys.dsl import scheduled_time as scheduled_time
    from tiphys.dsl import splice as splice
    from tiphys.dsl import unless_data as unless_data
    from tiphys.dsl import while_intact as while_intact
    from tiphys.dsl import while_metric as while_metric
    from tiphys.dsl import with_fakes as with_fakes
    from tiphys.dsl import workflow_created as workflow_created
    from tiphys.dsl import workflow_duration as workflow_duration
    from tiphys.dsl import workflow_failures as workflow_failures
    from tiphys.dsl import workflow_name as workflow_name
    from tiphys.dsl import workflow_namespace as workflow_namespace
    from tiphys.dsl import workflow_parameters as workflow_parameters
    from tiphys.dsl import workflow_status as workflow_status
    from tiphys.dsl import workflow_uid as workflow_uid
    from tiphys.errors import ClusterError as ClusterError
    from tiphys.errors import ComponentError as ComponentError
    from tiphys.errors import DefinitionError as DefinitionError
    from tiphys.errors import RefusedError as RefusedError
    from tiphys.errors import RunError as RunError
    from tiphys.errors import ServingError as ServingError
    from tiphys.errors import StoreError as StoreError
    from tiphys.errors import TiphysError as TiphysError
    from tiphys.errors import TiphysWarning as TiphysWarning
    from tiphys.errors import TrainingServiceError as TrainingServiceError
    from tiphys.errors import UserCodeError as UserCodeError
    from tiphys.lint import lint as lint
    from tiphys.reference import Reference as Reference
    from tiphys.runs import Client as Client
    from tiphys.runs.records import Records as Records
    from tiphys.runs.registry import Registry as Registry
    from tiphys.runs.start import run as run
    from tiphys.step.report import keras_report as keras_report
    from tiphys.step.report import report as report

# name -> module that defines it; imported on first use
_PUBLIC = {
    "Cache": "tiphys.dsl",
    "Again": "tiphys.dsl",
    "Client": "tiphys.runs",
    "ClusterError": "tiphys.errors",
    "ComponentError": "tiphys.errors",
    "DefinitionError": "tiphys.errors",
    "ConfigMap": "tiphys.dsl",
    "Fake": "tiphys.dsl",
    "Gang": "tiphys.dsl",
    "ModelRegistry": "tiphys.dsl",
    "Gate": "tiphys.dsl",
    "Gateway": "tiphys.dsl",
    "MoreMemory": "tiphys.dsl",
    "Mutex": "tiphys.dsl",
    "OnFailure": "tiphys.dsl",
    "Pipeline": "tiphys.dsl",
    "PyTorchJob": "tiphys.dsl",
    "XGBoostJob": "tiphys.dsl",
    "RayJob": "tiphys.dsl",
    "MPIJob": "tiphys.dsl",
    "Records": "tiphys.runs.records",
    "Reference": "tiphys.reference",
    "RefusedError": "tiphys.errors",
    "Registry": "tiphys.runs.registry",
    "PodSettings": "tiphys.dsl",
    "Resource": "tiphys.dsl",
    "Resources": "tiphys.dsl",
    "Retry": "tiphys.dsl",
    "RunError": "tiphys.errors",
    "Scheduling": "tiphys.dsl",
    "Scratch": "tiphys.dsl",
    "Secret": "tiphys.dsl",
    "Semaphore": "tiphys.dsl",
    "Serving": "tiphys.dsl",
    "ServingError": "tiphys.errors",
    "StoreError": "tiphys.errors",
    "TFJob": "tiphys.dsl",
    "GCS": "tiphys.dsl",
    "Git": "tiphys.dsl",
    "HTTP": "tiphys.dsl",
    "S3": "tiphys.dsl",
    "Text": "tiphys.dsl",
    "TiphysError": "tiphys.errors",
    "TiphysWarning": "tiphys.errors",
    "TrainingServiceError": "tiphys.errors",
    "UserCodeError": "tiphys.errors",
    "Toleration": "tiphys.dsl",
    "Volume": "tiphys.dsl",
    "collect": "tiphys.dsl",
    "http": "tiphys.dsl",
    "approve": "tiphys.dsl",
    "argo_template": "tiphys.dsl",
    "container": "tiphys.dsl",
    "component": "tiphys.dsl",
    "compose": "tiphys.dsl",
    "dag": "tiphys.dsl",
    "enough": "tiphys.dsl",
    "for_each": "tiphys.dsl",
    "keras_report": "tiphys.step.report",
    "raw": "tiphys.dsl",
    "report": "tiphys.step.report",
    "run": "tiphys.runs.start",
    "splice": "tiphys.dsl",
    "to_yaml": "tiphys.compiler.compile",
    "unless_data": "tiphys.dsl",
    "while_intact": "tiphys.dsl",
    "while_metric": "tiphys.dsl",
    "scheduled_time": "tiphys.dsl",
    "workflow_created": "tiphys.dsl",
    "workflow_duration": "tiphys.dsl",
    "workflow_failures": "tiphys.dsl",
    "workflow_namespace": "tiphys.dsl",
    "workflow_parameters": "tiphys.dsl",
    "workflow_uid": "tiphys.dsl",
    "with_fakes": "tiphys.dsl",
    "workflow_name": "tiphys.dsl",
    "workflow_status": "tiphys.dsl",
}

__all__ = ["__version__", "lint", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name == "lint":  # a package that can be called: tiphys.lint(x), from tiphys.lint import fix
        return importlib.import_module("tiphys.lint")
    if name not in _PUBLIC:
        from tiphys.dsl.habits import unknown

        raise unknown(__name__, name)
    return asked_for(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
