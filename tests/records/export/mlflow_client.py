"""What an MLflow server has, read with the official client (run by its Python): an experiment, or ``--model NAME``."""

from __future__ import annotations

import json
import sys
from typing import Any

from mlflow import MlflowClient

client = MlflowClient()
found: dict[str, Any] = {}
if sys.argv[1] == "--model":
    model = client.get_registered_model(sys.argv[2])
    for alias in model.aliases:
        version = client.get_model_version_by_alias(sys.argv[2], alias)
        found[alias] = [version.source, str(version.version)]
else:
    experiment = client.get_experiment_by_name(sys.argv[1])
    assert experiment is not None
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        info = run.info
        found[info.run_id] = {
            "name": info.run_name,
            "status": info.status,
            "times": [info.start_time, info.end_time or 0],
            "params": run.data.params,
            "tags": run.data.tags,
            "metrics": {
                key: sorted(
                    (
                        [each.timestamp, each.step, "NaN" if each.value != each.value else each.value]
                        for each in client.get_metric_history(info.run_id, key)
                    ),
                    key=lambda each: each[:2],
                )
                for key in run.data.metrics
            },
        }
sys.stdout.write(json.dumps(found))
