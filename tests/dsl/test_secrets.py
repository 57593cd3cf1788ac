"""Secrets and ConfigMaps of a step: what Kubernetes is asked for, what is refused, and that no value is anywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hera.workflows.models import EnvFromSource, EnvVar
from hera.workflows.models import Volume as HeraVolume

import tiphys
from tests.dsl.told import check_told
from tests.tools import argo_lint
from tiphys import Cache, ConfigMap, DefinitionError, Pipeline, Secret, component
from tiphys.engine import RunOptions

KEY = Secret("s3", "access-key", env="ACCESS_KEY")
GIVEN = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s3"},
    "stringData": {"access-key": "AKIA-0815", "ca.crt": "a certificate"},
}
SETTINGS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"LEVEL": "high"},
}


@component(
    secrets=[
        KEY,
        Secret("s3", "ca.crt", mount="/var/secrets/tls", env="CA"),
        ConfigMap("settings", prefix="S_"),
    ]
)
def read() -> int:
    assert os.environ["ACCESS_KEY"] == "AKIA-" + "0815"
    with open(os.environ["CA"], encoding="utf-8") as file:
        assert file.read() == "a certificate"
    assert os.listdir("/var/secrets/tls") == ["ca.crt"]
    assert os.environ["S_LEVEL"] == "high"
    return len(os.environ["ACCESS_KEY"])


def pipeline_of(step: Any) -> Pipeline:
    with Pipeline("secretive") as pipeline:
        step()
    return pipeline


def template_of(*secrets: Secret | ConfigMap, **options: Any) -> dict[str, Any]:
    def step() -> None:
        pass

    documents = yaml.safe_load_all(tiphys.to_yaml(pipeline_of(component(step, secrets=secrets, **options))))
    template: dict[str, Any] = list(documents)[-1]["spec"]["templates"][-1]
    return template


def test_the_step_sees_what_was_given(tmp_path: Path) -> None:
    pipeline = pipeline_of(read)
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    assert [each for each in tiphys.lint(pipeline) if each.severity != "info"] == []
    result = tiphys.run([pipeline, GIVEN, SETTINGS], options=RunOptions(store=tmp_path / "store"))
    assert result.succeeded, result.message
    everything = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not any(b"AKIA-0815" in each for each in everything)


def test_a_key_is_a_variable() -> None:
    env = template_of(KEY, ConfigMap("settings", "level", env="LEVEL", optional=True))["script"]["env"]
    secret, config = env[-2:]
    assert EnvVar.model_validate(secret).value_from.secret_key_ref.name == "s3"  # type: ignore[union-attr]
    assert secret["valueFrom"] == {"secretKeyRef": {"name": "s3", "key": "access-key"}}
    assert config["valueFrom"] == {"configMapKeyRef": {"name": "settings", "key": "level", "optional": True}}


def test_all_keys_are_variables() -> None:
    groups = template_of(Secret("s3"), ConfigMap("settings", prefix="S_", optional=True))["script"]["envFrom"]
    first, second = (EnvFromSource.model_validate(each) for each in groups)
    assert first.secret_ref is not None
    assert first.secret_ref.name == "s3"
    assert second.config_map_ref is not None
    assert (second.config_map_ref.name, second.config_map_ref.optional, second.prefix) == (
        "settings",
        True,
        "S_",
    )


def test_a_folder_has_a_file_for_each_key_or_for_one() -> None:
    template = template_of(
        Secret("tls", mount="/var/tls"),
        Secret("tls", "ca.crt", mount="/var/ca"),
        ConfigMap("c", mount="/etc/c"),
    )
    volumes = [HeraVolume.model_validate(each) for each in template["volumes"][1:]]
    assert [each.secret.secret_name for each in volumes if each.secret] == ["tls", "tls"]
    assert template["volumes"][2]["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    assert volumes[2].config_map is not None
    mounts = {each["name"]: each for each in template["script"]["volumeMounts"][1:]}
    assert [mounts[each.name]["mountPath"] for each in volumes] == ["/var/tls", "/var/ca", "/etc/c"]
    assert all(each["readOnly"] for each in mounts.values())


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (lambda: Secret("The Secret"), "TIP101", "not a legal name for a Secret"),
        (lambda: Secret("s3", "access-key"), "TIP104", "goes nowhere"),
        (lambda: Secret("s3", env="KEY"), "TIP104", "needs a key"),
        (lambda: Secret("s3", "a b", env="KEY"), "TIP101", "is no key"),
        (lambda: Secret("s3", "key", env="MY-KEY"), "TIP101", "no name of a variable"),
        (lambda: Secret("s3", mount="secrets"), "TIP101", "mount path"),
        (lambda: Secret("s3", mount="/a/../b"), "TIP101", "mount path"),
        (lambda: Secret("s3", "key", env="KEY", prefix="P_"), "TIP105", "prefix"),
        (lambda: ConfigMap("s3", 5, env="KEY"), "TIP105", "not text"),  # type: ignore[arg-type]
        (lambda: template_of("s3"), "TIP105", "is no Secret"),  # type: ignore[arg-type]
        (lambda: template_of(KEY, KEY), "TIP102", "ACCESS_KEY"),
        (lambda: template_of(KEY, env={"ACCESS_KEY": "x"}), "TIP102", "ACCESS_KEY"),
        (lambda: template_of(Secret("s3", "k", env="TIPHYS_OUTPUTS")), "TIP102", "TIPHYS_OUTPUTS"),
        (lambda: template_of(Secret("s3", mount="/tmp")), "TIP102", "/tmp"),
        (lambda: template_of(Secret("a", mount="/s"), Secret("b", mount="/s")), "TIP102", "/s"),
        (lambda: template_of(env={"KEY": KEY}), "TIP105", "KEY"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(given: Any, code: str, words: str) -> None:
    check_told(given, code, words, __file__)


def test_a_secret_says_nothing_about_a_result_and_a_config_map_may() -> None:
    cache = Cache.by_content()
    with_one = template_of(KEY, cache=cache)
    assert with_one["memoize"] == template_of(cache=cache)["memoize"]
    with pytest.raises(DefinitionError) as caught:
        template_of(ConfigMap("settings"), cache=cache)
    assert caught.value.code == "TIP126"
    assert "settings" in caught.value.message
    assert "test_secrets.py:" in caught.value.where
    told = template_of(ConfigMap("settings"), cache=cache, depends_on=["text:settings of May"])
    assert told["memoize"] != with_one["memoize"]
    assert template_of(ConfigMap("settings"), cache=cache, depends_on=[])["memoize"]
