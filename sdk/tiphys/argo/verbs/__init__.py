"""What the verbs retry, resubmit, resume and stop do to a Workflow object.

Pure functions over its JSON: they return a changed copy and touch nothing else. A run on this machine and a cluster
without an Argo Server use the same ones, by the rules of Argo 4.1.2 (workflow/util).
"""

from tiphys.argo.verbs.arguments import given_parameters
from tiphys.argo.verbs.problem import ImpossibleError
from tiphys.argo.verbs.resubmit import memoized, resubmitted
from tiphys.argo.verbs.retry import retried
from tiphys.argo.verbs.waiting import declined, resumed

__all__ = [
    "ImpossibleError",
    "declined",
    "given_parameters",
    "memoized",
    "resubmitted",
    "resumed",
    "retried",
]
