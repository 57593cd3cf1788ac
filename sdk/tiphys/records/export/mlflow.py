"""Runs into MLflow, over its REST API: what is missing there is sent, and nothing twice.

An export that was cut off is simply repeated: runs are found again by their tags, series by their points. When all of
a run has arrived, a tag holds the digest of what was sent, and the next export of the same asks one question.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tiphys.errors import RefusedError, StoreError
from tiphys.jsontypes import Json, JsonObject
from tiphys.records.export.common import clean, outcome
from tiphys.records.export.mlflow_runs import Made, Sample, Value, WantedRun, models_of, wanted
from tiphys.records.export.rest import Rest, Unsure
from tiphys.records.record import RunRecord

__all__ = ["Exported", "Mirror"]

_API = "api/2.0/mlflow"
_METRICS, _PAIRS, _BYTES = 1000, 100, 900_000
"""At most so many metrics, and so many of parameters and of tags, in a batch of so many bytes."""
_PAGE = 25_000
_DONE = "tiphys.exported"
_TIMES = 5


@dataclass(slots=True)
class Exported:
    """What became of a run: where it is, and what was new there. ``notes`` say what MLflow could not take."""

    key: str
    experiment: str
    run: str
    url: str
    runs: int = 0
    points: int = 0
    params: int = 0
    tags: int = 0
    models: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _There:
    """What MLflow has of a run. ``keys`` are those of its series, ``metrics`` the series that were read or sent."""

    run: str
    status: str
    ended: int
    name: str
    params: dict[str, str]
    tags: dict[str, str]
    keys: set[str]
    metrics: dict[str, set[Sample]] = field(default_factory=dict)


class Mirror:
    """Writes records to the MLflow server at ``server``; ``experiment`` is by default the name of the pipeline.

    :meth:`put` may be called again as a run goes on. Nobody else may export the same run at the same time. Every method
    raises StoreError: TIP434 for a server that cannot be reached or fails, TIP435 for one that refuses.
    """

    def __init__(self, server: Rest, experiment: str = "") -> None:
        if len(experiment) > 500 or (experiment and not experiment.strip()):
            raise RefusedError(
                "TIP289", "the name of the experiment is too long or blank", fix="--experiment NAME"
            )
        self._server, self._name = server, clean(experiment)
        self._experiments: dict[str, str] = {}
        self._known: dict[tuple[str, str], dict[str, _There]] = {}

    def put(self, record: RunRecord) -> Exported:
        """Make MLflow's copy of a run what the record is."""
        runs, made = list(wanted(record)), list(models_of(record))
        experiment = self._experiment(
            self._name or clean(record.pipeline or record.name)[:500].strip() or "tiphys"
        )
        own, mark = runs[0].tags["tiphys.run"], _digest(runs, made)
        there = self._known.pop((experiment, own), None)  # gone if this fails: it would not be what is there
        if there is None:
            there = self._find(experiment, own)
        done = Exported(record.key, experiment, "", "")
        if "" not in there or there[""].tags.get(_DONE) != mark:
            for each in runs:
                if each.node not in there:
                    there[each.node] = self._create(experiment, each, there[""].run if each.node else "")
                    done.runs += 1
                self._fill(there[each.node], each, done)
            self._models(there, made, done)
            self._log(there[""].run, {"tags": _pairs({_DONE: mark})})
            there[""].tags[_DONE] = mark
        if not outcome(record.phase):  # it will come again
            self._known[experiment, own] = there
        done.run = there[""].run
        done.url = f"{self._server.uri}/#/experiments/{experiment}/runs/{done.run}"
        return done

    # -- experiments and runs -----------------------------------------------------------------------------------------

    def _experiment(self, name: str) -> str:
        for _ in range(_TIMES):
            if name in self._experiments:
                return self._experiments[name]
            answer = self._get("experiments/get-by-name", ["RESOURCE_DOES_NOT_EXIST"], experiment_name=name)
            found = _object(answer.get("experiment"))
            if found.get("lifecycle_stage") == "deleted":
                raise StoreError(
                    "TIP435",
                    f"the experiment {name!r} was deleted there",
                    where=self._server.uri,
                    fix=f"`mlflow experiments restore -x {found['experiment_id']}`, or another --experiment",
                )
            if found:
                self._experiments[name] = str(found["experiment_id"])
            else:
                self._post("experiments/create", {"name": name}, ["RESOURCE_ALREADY_EXISTS"])
        raise self._strange("an experiment that was created is not there")

    def _find(self, experiment: str, own: str) -> dict[str, _There]:
        """By their nodes, the runs that a run has there."""
        found: dict[str, _There] = {}
        body = {
            "experiment_ids": [experiment],
            "filter": f"tags.`tiphys.run` = '{own}'",
            "run_view_type": "ACTIVE_ONLY",
            "max_results": 1000,
        }
        for run in self._pages(lambda token: self._post("runs/search", {**body, **token}), "runs"):
            each = _there(run)
            known = found.get(each.tags.get("tiphys.node", ""))
            if known is None or each.run < known.run:
                found[each.tags.get("tiphys.node", "")] = each
        return found

    def _create(self, experiment: str, each: WantedRun, parent: str) -> _There:
        tags = {name: each.tags[name] for name in ("tiphys.run", "tiphys.node")}
        if parent:
            tags["mlflow.parentRunId"] = parent
        body = {
            "experiment_id": experiment,
            "run_name": each.name,
            "start_time": each.started,
            "tags": _pairs(tags),
        }
        for _ in range(_TIMES):
            try:
                answer = self._server.post(f"{_API}/runs/create", body, once=True)
                return _there(_object(answer.get("run")))
            except Unsure:
                found = self._find(experiment, each.tags["tiphys.run"]).get(each.node)
                if found is not None:
                    return found
        raise self._strange("a run could not be created")

    def _fill(self, has: _There, each: WantedRun, done: Exported) -> None:
        """Send what a run lacks."""
        params = {name: text for name, text in each.params.items() if name not in has.params}
        for name, text in each.params.items():
            if has.params.get(name, text) != text:
                done.notes.append(f"{each.name}: the parameter {name} stays {has.params[name][:80]!r} there")
        tags = {name: text for name, text in each.tags.items() if has.tags.get(name) != text}
        points = [
            (key, sample)
            for key, samples in each.metrics.items()
            for sample in self._lacking(has, key, samples)
        ]
        for batch in _batches(points, params, tags):
            self._log(has.run, batch)
        if (has.status, has.name) != (each.status, each.name) or (each.ended and each.ended != has.ended):
            body: dict[str, object] = {"run_id": has.run, "status": each.status, "run_name": each.name}
            self._post("runs/update", {**body, **({"end_time": each.ended} if each.ended else {})})
            has.status, has.ended, has.name = each.status, each.ended, each.name
        for key, sample in points:
            has.metrics[key].add(sample)
        has.params.update(params)
        has.tags.update(tags)
        done.points += len(points)
        done.params += len(params)
        done.tags += len(tags)

    def _lacking(self, has: _There, key: str, samples: list[Sample]) -> list[Sample]:
        """The points of a series that are not there."""
        if key not in has.metrics:
            has.metrics[key] = set(self._history(has.run, key)) if key in has.keys else set()
        there = has.metrics[key]
        return [sample for sample in samples if sample not in there]

    def _history(self, run: str, key: str) -> Iterator[Sample]:
        for item in self._pages(
            lambda token: self._get(
                "metrics/get-history", run_id=run, metric_key=key, max_results=_PAGE, **token
            ),
            "metrics",
        ):
            at, step = (int(str(item.get(name, 0))) for name in ("timestamp", "step"))
            yield at, step, _value(item.get("value", 0.0))

    # -- models -------------------------------------------------------------------------------------------------------

    def _models(self, there: Mapping[str, _There], made: list[Made], done: Exported) -> None:
        for each in made:
            version = self._version(each)
            if version is None:
                version = self._register(each, there.get(each.node, there[""]).run, done)
                if version is None:
                    continue
                done.models += 1
            self._post(
                "registered-models/alias", {"name": each.name, "alias": each.alias, "version": version}
            )

    def _version(self, each: Made) -> str | None:
        """The version that holds what was made, if there is one."""
        found = self._pages(
            lambda token: self._get(
                "model-versions/search", filter=f"name = '{each.name}'", max_results=1000, **token
            ),
            "model_versions",
        )
        for item in found:
            if _texts(item.get("tags")).get("tiphys.identity") == each.identity:
                return str(item["version"])
        return None

    def _register(self, each: Made, run: str, done: Exported) -> str | None:
        self._post("registered-models/create", {"name": each.name}, ["RESOURCE_ALREADY_EXISTS"])
        tags = {"tiphys.identity": each.identity, "tiphys.digest": each.digest}
        body = {"name": each.name, "source": each.uri, "run_id": run, "tags": _pairs(tags)}
        for _ in range(_TIMES):
            try:
                answer = self._server.post(
                    f"{_API}/model-versions/create", body, allowed=["INVALID_PARAMETER_VALUE"], once=True
                )
            except Unsure:
                found = self._version(each)
                if found is not None:
                    return found
                continue
            if "error_code" in answer:
                done.notes.append(f"{each.uri} was not registered: {str(answer.get('message'))[:200]}")
                return None
            return str(_object(answer.get("model_version")).get("version"))
        raise self._strange("a version of a model could not be created")

    # -- calls --------------------------------------------------------------------------------------------------------

    def _get(self, path: str, allowed: Iterable[str] = (), **query: str | int) -> JsonObject:
        return self._server.get(f"{_API}/{path}", list(allowed), **query)

    def _post(self, path: str, body: Mapping[str, object], allowed: Iterable[str] = ()) -> JsonObject:
        return self._server.post(f"{_API}/{path}", body, allowed=list(allowed))

    def _log(self, run: str, batch: Mapping[str, object]) -> None:
        self._post("runs/log-batch", {"run_id": run, **batch})

    def _pages(self, ask: Callable[[dict[str, str]], JsonObject], what: str) -> Iterator[JsonObject]:
        token: dict[str, str] = {}
        while True:
            answer = ask(token)
            yield from _objects(answer.get(what))
            following = answer.get("next_page_token")
            if not following or {"page_token": following} == token:
                return
            token = {"page_token": str(following)}

    def _strange(self, what: str) -> StoreError:
        return StoreError("TIP434", f"{self._server.uri} fails", cause=what, fix="look into the server's log")


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _there(run: JsonObject) -> _There:
    info, data = _object(run.get("info")), _object(run.get("data"))
    return _There(
        run=str(info.get("run_id")),
        status=str(info.get("status", "")),
        ended=int(str(info.get("end_time") or 0)),
        name=str(info.get("run_name", "")),
        params=_texts(data.get("params")),
        tags=_texts(data.get("tags")),
        keys={str(item.get("key")) for item in _objects(data.get("metrics"))},
    )


def _texts(items: Json) -> dict[str, str]:
    return {str(item.get("key")): str(item.get("value", "")) for item in _objects(items)}


def _value(found: object) -> Value:
    number = float(str(found))
    return "NaN" if number != number else number


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": text} for name, text in values.items()]


def _digest(runs: list[WantedRun], models: list[Made]) -> str:
    """Of all that there should be."""
    found = hashlib.sha256()
    for each in runs:
        what = [each.node, each.status, each.name, each.ended, each.params, each.tags, each.metrics]
        found.update(json.dumps(what, sort_keys=True).encode())
    found.update(json.dumps([(made.name, made.identity, made.alias) for made in models]).encode())
    return found.hexdigest()


def _batches(
    points: list[tuple[str, Sample]], params: Mapping[str, str], tags: Mapping[str, str]
) -> Iterator[dict[str, object]]:
    """Requests within the limits of the server: points, parameters, then tags."""
    for start in range(0, len(points), _METRICS):
        yield {
            "metrics": [
                {"key": key, "timestamp": at, "step": step, "value": value}
                for key, (at, step, value) in points[start : start + _METRICS]
            ]
        }
    for what, values in (("params", params), ("tags", tags)):
        batch: dict[str, str] = {}
        size = 0
        for name, text in values.items():
            cost = len(json.dumps([name, text])) + 32
            if batch and (len(batch) == _PAIRS or size + cost > _BYTES):
                yield {what: _pairs(batch)}
                batch, size = {}, 0
            batch[name] = text
            size += cost
        if batch:
            yield {what: _pairs(batch)}
