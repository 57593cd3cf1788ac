"""What the author of a pipeline writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.lazy import asked_for

if TYPE_CHECKING:  # what the lazy names are, for type checkers and editors
    from tiphys.dsl.approval import approve as approve
    from tiphys.dsl.cache import Cache as Cache
    from tiphys.dsl.components import Component as Component
    from tiphys.dsl.components import component as component
    from tiphys.dsl.composed import collect as collect
    from tiphys.dsl.composed import compose as compose
    from tiphys.dsl.composed import raw as raw
    from tiphys.dsl.container import container as container
    from tiphys.dsl.context import CallableTemplate as CallableTemplate
    from tiphys.dsl.context import for_each as for_each
    from tiphys.dsl.dags import Dag as Dag
    from tiphys.dsl.dags import dag as dag
    from tiphys.dsl.enough import enough as enough
    from tiphys.dsl.fakes import Fake as Fake
    from tiphys.dsl.fakes import with_fakes as with_fakes
    from tiphys.dsl.gate import Gate as Gate
    from tiphys.dsl.gateway import Gateway as Gateway
    from tiphys.dsl.http import http as http
    from tiphys.dsl.kept import argo_template as argo_template
    from tiphys.dsl.locks import Gang as Gang
    from tiphys.dsl.locks import Mutex as Mutex
    from tiphys.dsl.locks import Semaphore as Semaphore
    from tiphys.dsl.mpijob import MPIJob as MPIJob
    from tiphys.dsl.on_failure import Again as Again
    from tiphys.dsl.on_failure import MoreMemory as MoreMemory
    from tiphys.dsl.on_failure import OnFailure as OnFailure
    from tiphys.dsl.pipeline import Pipeline as Pipeline
    from tiphys.dsl.pod import Volume as Volume
    from tiphys.dsl.pod_settings import PodSettings as PodSettings
    from tiphys.dsl.pod_settings import Scratch as Scratch
    from tiphys.dsl.policies import unless_data as unless_data
    from tiphys.dsl.policies import while_intact as while_intact
    from tiphys.dsl.policies import while_metric as while_metric
    from tiphys.dsl.pytorchjob import PyTorchJob as PyTorchJob
    from tiphys.dsl.rayjob import RayJob as RayJob
    from tiphys.dsl.registry import ModelRegistry as ModelRegistry
    from tiphys.dsl.resource import Resource as Resource
    from tiphys.dsl.resource import splice as splice
    from tiphys.dsl.resources import Resources as Resources
    from tiphys.dsl.retry import Retry as Retry
    from tiphys.dsl.scheduling import Scheduling as Scheduling
    from tiphys.dsl.scheduling import Toleration as Toleration
    from tiphys.dsl.secrets import ConfigMap as ConfigMap
    from tiphys.dsl.secrets import Secret as Secret
    from tiphys.dsl.serving import Serving as Serving
    from tiphys.dsl.sources import GCS as GCS
    from tiphys.dsl.sources import HTTP as HTTP
    from tiphys.dsl.sources import S3 as S3
    from tiphys.dsl.sources import Git as Git
    from tiphys.dsl.sources import Text as Text
    from tiphys.dsl.task import Task as Task
    from tiphys.dsl.tfjob import TFJob as TFJob
    from tiphys.dsl.values import ConditionValue as ConditionValue
    from tiphys.dsl.values import Value as Value
    from tiphys.dsl.values import workflow_name as workflow_name
    from tiphys.dsl.values import workflow_status as workflow_status
    from tiphys.dsl.workflow_values import scheduled_time as scheduled_time
    from tiphys.dsl.workflow_values import workflow_created as workflow_created
    from tiphys.dsl.workflow_values import workflow_duration as workflow_duration
    from tiphys.dsl.workflow_values import workflow_failures as workflow_failures
    from tiphys.dsl.workflow_values import workflow_namespace as workflow_namespace
    from tiphys.dsl.workflow_values import workflow_parameters as workflow_parameters
    from tiphys.dsl.workflow_values import workflow_uid as workflow_uid
    from tiphys.dsl.xgboostjob import XGBoostJob as XGBoostJob

_PUBLIC = {
    "Again": ".on_failure",
    "Cache": ".cache",
    "Component": ".components",
    "ConditionValue": ".values",
    "ConfigMap": ".secrets",
    "Dag": ".dags",
    "Fake": ".fakes",
    "Gang": ".locks",
    "ModelRegistry": ".registry",
    "Gate": ".gate",
    "Gateway": ".gateway",
    "MoreMemory": ".on_failure",
    "Mutex": ".locks",
    "OnFailure": ".on_failure",
    "Pipeline": ".pipeline",
    "PyTorchJob": ".pytorchjob",
    "XGBoostJob": ".xgboostjob",
    "RayJob": ".rayjob",
    "MPIJob": ".mpijob",
    "PodSettings": ".pod_settings",
    "Resource": ".resource",
    "Resources": ".resources",
    "Retry": ".retry",
    "Scheduling": ".scheduling",
    "Scratch": ".pod_settings",
    "Secret": ".secrets",
    "Semaphore": ".locks",
    "Serving": ".serving",
    "TFJob": ".tfjob",
    "Task": ".task",
    "GCS": ".sources",
    "Git": ".sources",
    "HTTP": ".sources",
    "S3": ".sources",
    "Text": ".sources",
    "Toleration": ".scheduling",
    "CallableTemplate": ".context",
    "Value": ".values",
    "Volume": ".pod",
    "container": ".container",
    "approve": ".approval",
    "argo_template": ".kept",
    "http": ".http",
    "collect": ".composed",
    "component": ".components",
    "compose": ".composed",
    "dag": ".dags",
    "enough": ".enough",
    "for_each": ".context",
    "raw": ".composed",
    "splice": ".resource",
    "unless_data": ".policies",
    "while_intact": ".policies",
    "while_metric": ".policies",
    "scheduled_time": ".workflow_values",
    "workflow_created": ".workflow_values",
    "workflow_duration": ".workflow_values",
    "workflow_failures": ".workflow_values",
    "workflow_namespace": ".workflow_values",
    "workflow_parameters": ".workflow_values",
    "workflow_uid": ".workflow_values",
    "with_fakes": ".fakes",
    "workflow_name": ".values",
    "workflow_status": ".values",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        from tiphys.dsl.habits import unknown

        raise unknown(__name__, name)
    return asked_for(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
