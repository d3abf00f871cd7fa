"""The files for a cluster's encoder are what Kubernetes and BentoCloud take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "docs" / "scale-out"
PAGE = (ROOT / "docs" / "scale-out.md").read_text("utf-8")


@pytest.fixture(scope="module")
def encoder() -> dict:
    """The Kubernetes objects of encoder.yaml by kind."""
    made = list(yaml.safe_load_all((FOLDER / "encoder.yaml").read_text("utf-8")))
    kinds = {one["kind"]: one for one in made}
    assert len(kinds) == len(made)
    return kinds


@pytest.fixture(scope="module")
def container(encoder) -> dict:
    (only,) = encoder["Deployment"]["spec"]["template"]["spec"]["containers"]
    return only


# Kubernetes


def _versions() -> list[str]:
    from kubernetes_validate.utils import all_versions

    return all_versions()


@pytest.mark.parametrize("version", _versions())
def test_encoder_is_valid_kubernetes(version, encoder):
    import kubernetes_validate

    for one in encoder.values():
        kubernetes_validate.validate(one, version, strict=True)


def test_validation_can_fail(encoder):
    import kubernetes_validate

    service = encoder["Service"] | {"spec": {"portz": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, _versions()[-1], strict=True)


def test_page_names_the_kubernetes_versions_checked():
    shown = re.search(r"Kubernetes (\S+) to (\S+) in kubernetes-validate", PAGE)
    known = [version.rpartition(".")[0] for version in _versions()]
    assert shown is not None
    assert set(shown.groups()) <= set(known)


def test_encoder_objects_belong_together(encoder, container):
    deployment = encoder["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"][0]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        encoder["Service"]["spec"]["selector"],
        encoder["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        spread["labelSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels
    scaler = encoder["HorizontalPodAutoscaler"]["spec"]
    scaled = scaler["scaleTargetRef"]
    assert (scaled["apiVersion"], scaled["kind"]) == (deployment["apiVersion"], deployment["kind"])
    assert scaled["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    assert encoder["PodDisruptionBudget"]["spec"]["minAvailable"] < scaler["minReplicas"]
    (port,) = encoder["Service"]["spec"]["ports"]
    assert port["targetPort"] in {one["name"] for one in container["ports"]}
    assert f"http://{encoder['Service']['metadata']['name']}:{port['port']}" in PAGE


def test_encoder_is_run_as_the_image_wants(encoder, container):
    from bentoml._internal.container.generate import BENTO_UID_GID

    from clipstack.service.configuration import PREFIX, from_environment
    from clipstack.service.request_filter import PUBLIC_PATHS

    spec = encoder["Deployment"]["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsUser"] == BENTO_UID_GID
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["enableServiceLinks"] is False

    values = {one["name"]: one.get("value", "2") for one in container["env"]}
    (mount,) = container["volumeMounts"]
    assert values["BENTOML_HOME"].startswith(mount["mountPath"] + "/")
    options = from_environment(values)
    defaults = from_environment({})
    for name in values:
        if name.startswith(PREFIX):
            field = name.removeprefix(PREFIX).lower()
            assert getattr(options, field) != getattr(defaults, field), name

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in PUBLIC_PATHS
        assert container[probe]["httpGet"]["port"] == "http"


def test_its_token_is_a_secret_made_on_the_page(container):
    (token,) = (
        one["valueFrom"]["secretKeyRef"] for one in container["env"] if "TOKEN" in one["name"]
    )
    assert f"kubectl create secret generic {token['name']} " in PAGE


def test_encoder_stops_after_its_longest_request(encoder, container):
    grace = encoder["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert grace >= pause + _longest_request()


def _longest_request() -> int:
    # Read, not imported: importing the service sets up BentoML.
    source = (ROOT / "clipstack" / "service" / "bento.py").read_text("utf-8")
    found = re.search(r"^_TIMEOUT_SECONDS = (\d+)$", source, re.MULTILINE)
    assert found is not None
    return int(found[1])


# BentoCloud


@pytest.fixture(scope="module")
def bentocloud() -> dict:
    return yaml.safe_load((FOLDER / "bentocloud.yaml").read_text("utf-8"))


def test_bentocloud_file_is_what_bentoml_reads(bentocloud):
    from _bentoml_sdk.service.config import ServiceConfig
    from bentoml._internal.cloud.schemas.schemasv2 import CreateDeploymentSchema
    from bentoml._internal.utils.cattr import bentoml_cattr
    from pydantic import TypeAdapter

    kept = bentoml_cattr.unstructure(bentoml_cattr.structure(bentocloud, CreateDeploymentSchema))
    assert _lost(bentocloud, kept) == []
    for service in bentocloud["services"].values():
        kept = TypeAdapter(ServiceConfig).validate_python(service["config_overrides"])
        assert _lost(service["config_overrides"], kept) == []
    assert _lost({"services": {"a": {"scalings": 1}}}, {"services": {"a": {}}}) == [
        "services.a.scalings"
    ]


def _lost(given, kept, where: str = "") -> list[str]:
    """What a reader threw away, or read as something else; defaults it leaves out are no loss."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return [
            one
            for key in given
            for one in _lost(given[key], kept.get(key), f"{where}.{key}".lstrip("."))
        ]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        pairs = enumerate(zip(given, kept, strict=True))
        return [one for at, (a, b) in pairs for one in _lost(a, b, f"{where}.{at}")]
    return [] if given == kept else [where]


def test_bentocloud_file_deploys_our_service(bentocloud):
    from bentoml._internal.cloud.schemas.modelschemas import DeploymentStrategy

    from clipstack.service.configuration import from_environment

    name = yaml.safe_load((ROOT / "bentofile.yaml").read_text("utf-8"))["name"]
    assert bentocloud["bento"].partition(":")[0] == name
    (service,) = bentocloud["services"].values()
    assert list(bentocloud["services"]) == [name]
    assert service["deployment_strategy"] in {one.value for one in DeploymentStrategy}
    assert service["config_overrides"]["traffic"]["timeout"] == _longest_request()
    from_environment({one["name"]: one["value"] for one in service["envs"]})
    # Both tokens would be read from one header.
    assert bentocloud["access_authorization"] is True
    assert "CLIPSTACK_SERVICE_TOKEN" not in {one["name"] for one in service["envs"]}
