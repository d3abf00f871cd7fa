"""The page that tells of a cluster, and the files for its Milvus, are what their readers take."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from clipstack.settings import INDEXES, NAMES

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "docs" / "scale-out"
PAGE = (ROOT / "docs" / "scale-out.md").read_text("utf-8")
MILVUS = {"milvus_uri", "milvus_token", "milvus_database"}
TLS = {"tls_ca", "tls_cert", "tls_key", "tls_server_name"}
ENCODER = {"encoder_url", "encoder_token"}
SETTINGS = MILVUS | TLS | ENCODER | {"index", "index_params"}


def _blocks() -> list[str]:
    """The page's indented blocks, without their indent."""
    found = re.findall(r"(?:^    .*\n)+(?:\n*(?:^    .*\n)+)*", PAGE, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip() for block in found]


TARGETS = [block for block in _blocks() if block.startswith("[")]


def _load(name: str):
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


# The page


def test_every_file_is_linked_and_every_link_leads_somewhere():
    links = {link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE) if "://" not in link}
    missing = [link for link in links if not (ROOT / "docs" / link).exists()]
    assert not missing
    assert {f"scale-out/{file.name}" for file in FOLDER.iterdir()} <= links


def test_links_within_the_page_lead_to_a_heading():
    headings = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings


@pytest.mark.parametrize("block", TARGETS)
def test_targets_parse_and_have_known_settings_only(block):
    document = tomllib.loads(block)
    assert set(document) == {"targets"}
    for target in document["targets"].values():
        assert set(target) <= SETTINGS <= set(NAMES)
        assert "milvus_uri" in target
        assert target.get("index", "AUTOINDEX") in INDEXES
        urls = target.get("encoder_url", [])
        for url in [target["milvus_uri"], *([urls] if isinstance(urls, str) else urls)]:
            assert re.fullmatch(r"https?://[\w.-]+:\d+", url)


def test_every_setting_is_shown():
    assert len(TARGETS) == 3
    mentioned = set(re.findall(r"\b(?:milvus|tls|encoder|index)_\w+|\bindex\b", PAGE))
    assert mentioned >= SETTINGS


def test_files_that_commands_name_exist():
    named = re.findall(r"(?<![\w/.])(?:docs|tools|tests)/[\w/.-]+\.(?:yaml|py|md)", PAGE)
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_table_of_memory_follows_the_rules_above_it():
    def rules(rows: int) -> list[float]:
        raw = rows * 512 * 4 / 2**30
        lists = 128 * 512 * 4 / 2**30  # the sizing tool's own nlist
        flat, ivf, hnsw, auto = raw, raw + lists, raw * (1 + 32 / 512), raw * (1 + 36 / 512)
        loaded = [(size + 2) * 1.15 for size in (flat, ivf, hnsw, auto)]
        assert loaded[0] == pytest.approx(loaded[1], abs=0.001)
        return [
            raw,
            loaded[0],
            *loaded[2:],
            raw / 4 * 1.15,
            raw * (1 + 56 / 512),
            rows * 250 / 2**30,
        ]

    table = re.findall(r"^\| (\d+) ((?:\| [\d.]+ ){7})\|$", PAGE, re.MULTILINE)
    assert [million for million, _ in table] == ["1", "10", "100"]
    for million, cells in table:
        shown = [float(cell) for cell in re.findall(r"[\d.]+", cells)]
        assert shown == pytest.approx(rules(int(million) * 10**6), abs=0.051), million


def test_rule_for_nlist():
    assert f": {round(4 * math.sqrt(2**30 / (512 * 4)))} for 1 GiB" in PAGE


# Milvus


@pytest.fixture(scope="module")
def operator() -> dict:
    return _load("milvus-operator.yaml")["spec"]


@pytest.fixture(scope="module")
def helm() -> dict:
    return _load("milvus-helm-values.yaml")


PARTS = {
    "mixCoord": "mixCoordinator",
    "proxy": "proxy",
    "streamingNode": "streamingNode",
    "queryNode": "queryNode",
    "dataNode": "dataNode",
}


def test_one_version_of_milvus_everywhere(operator, helm):
    image = helm["image"]["all"]
    assert operator["components"]["image"] == f"{image['repository']}:{image['tag']}"
    assert re.fullmatch(r"v2\.6\.\d+", image["tag"])
    # 2.6.2 to 2.6.13 exit when etcd is away for a moment.
    assert int(image["tag"].rpartition(".")[2]) >= 24
    assert f"Milvus {image['tag']}" in PAGE


def test_one_version_of_operator_and_chart_on_the_page():
    operators = re.findall(r"(?:operator v|download/v|operator-)(1\.\d+\.\d+)", PAGE)
    charts = re.findall(r"(?:[Cc]hart |--version )(\d+\.\d+\.\d+)", PAGE)
    assert len(operators) == 3
    assert len(set(operators)) == 1
    assert len(charts) == 2
    assert len(set(charts)) == 1


def test_operator_and_chart_make_the_same_cluster(operator, helm):
    assert helm["cluster"]["enabled"] is (operator["mode"] == "cluster")
    for ours, theirs in PARTS.items():
        for key in ("replicas", "resources"):
            assert operator["components"][ours][key] == helm[theirs][key], ours
    user = yaml.safe_load(helm["extraConfigFiles"]["user.yaml"])
    for section in ("common", "tls", "proxy"):
        assert operator["config"][section] == user[section]
    etcd = operator["dependencies"]["etcd"]["inCluster"]["values"]
    assert etcd == helm["etcd"]
    store, theirs = operator["dependencies"]["storage"], helm["externalS3"]
    assert store["endpoint"] == f"{theirs['host']}:{theirs['port']}"
    for key in ("bucketName", "rootPath", "region", "useSSL"):
        assert operator["config"]["minio"][key] == theirs[key]
    assert operator["dependencies"]["msgStreamType"] == "woodpecker"
    assert helm["woodpecker"]["enabled"]
    assert not helm["pulsarv3"]["enabled"]


def test_certificates_are_where_milvus_looks(operator, helm):
    files = operator["config"]["tls"].values()
    for holder in (operator["components"], helm["proxy"]):
        (volume,), (mount,) = holder["volumes"], holder["volumeMounts"]
        assert volume["name"] == mount["name"]
        assert f"kubectl create secret tls {volume['secret']['secretName']} " in PAGE
        assert {str(Path(file).parent) for file in files} == {mount["mountPath"]}
    assert {Path(file).name for file in files} == {"tls.crt", "tls.key"}
    # With TLS, REST on the port of gRPC ends the proxy.
    assert operator["config"]["common"]["security"]["tlsMode"] > 0
    assert operator["config"]["proxy"]["http"]["port"] != 19530


def test_secrets_are_made_on_the_page_and_not_in_the_files(operator, helm):
    assert (
        f"kubectl create secret generic {operator['dependencies']['storage']['secretRef']} " in PAGE
    )
    assert not {"accessKey", "secretKey"} & set(helm["externalS3"])


def test_page_adds_up_what_the_files_ask_for(operator):
    def total(parts) -> tuple[int, int]:
        asked = [(one.get("replicas") or one["replicaCount"], one["resources"]) for one in parts]
        return (
            sum(count * int(one["requests"]["cpu"]) for count, one in asked),
            sum(count * int(one["requests"]["memory"].removesuffix("Gi")) for count, one in asked),
        )

    cores, memory = total(operator["components"][part] for part in PARTS)
    etcd = total([operator["dependencies"]["etcd"]["inCluster"]["values"]])
    assert f"{cores} cores and {memory} GiB, etcd {etcd[0]} cores and {etcd[1]} GiB" in PAGE


# The tool that checks against the operator and the chart


def test_tool_finds_what_a_chart_does_not_know():
    from tools.check_milvus_values import ChartValue, problems_of_values

    spec = ChartValue.from_values(
        {"proxy": {"replicas": 1, "resources": {}, "on": True, "host": ""}}
    )
    spec.add_reference(["proxy", "volumes"])
    spec.add_reference(["proxy", "resources", "limits"])
    good = {"replicas": 2, "resources": {"requests": {"cpu": 1}}, "on": False, "host": 5}
    assert list(problems_of_values({"proxy": good | {"volumes": []}}, spec)) == []
    bad = {"proxy": {"replica": 2, "replicas": "2", "on": "yes", "resources": 3}, "proxies": {}}
    assert list(problems_of_values(bad, spec)) == [
        "proxy.replica: the chart takes no such value",
        "proxy.replicas: a text, but the chart has a number",
        "proxy.on: a text, but the chart has a yes or no",
        "proxy.resources: a number, but the chart has a mapping",
        "proxies: the chart takes no such value",
    ]


def test_tool_finds_what_a_definition_does_not_know():
    from tools.check_milvus_values import problems_of_resource

    spec = {
        "type": "object",
        "properties": {
            "mode": {"type": "string", "enum": ["cluster", "standalone"]},
            "config": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "replicas": {"type": "integer", "nullable": True},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    whole = {
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
        },
    }
    version = {"name": "v1beta1", "served": True, "schema": {"openAPIV3Schema": whole}}
    crd = {"spec": {"names": {"kind": "Milvus"}, "versions": [version]}}
    head = {"apiVersion": "milvus.io/v1beta1", "kind": "Milvus", "metadata": {"name": "a"}}

    def problems(spec: dict) -> list[str]:
        return list(problems_of_resource(head | {"spec": spec}, crd))

    free = {"config": {"any": {"thing": 1}}, "replicas": None, "labels": {"a": "b"}}
    assert problems({"mode": "cluster", **free}) == []
    assert len(problems({"mode": "clusters", "mod": 1, "labels": {"a": 1}})) == 3
    assert list(problems_of_resource(head | {"kind": "MilvusCluster"}, crd)) == [
        "there is no milvus.io/v1beta1 MilvusCluster"
    ]
