"""Milvus' operator and chart, and our files for them, in; what in our files they don't know, out.

    python tools/check_milvus_values.py MILVUS_OPERATOR MILVUS_HELM

The arguments are clones of github.com/zilliztech/milvus-operator and milvus-helm, bare or not;
their HEAD is read. An unknown key or a value of the wrong type is a problem, and ends in exit
code 1.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml  # type: ignore[import-untyped]

FOLDER = Path(__file__).parent.parent / "docs" / "scale-out"
OPERATOR_FILE = FOLDER / "milvus-operator.yaml"
HELM_FILE = FOLDER / "milvus-helm-values.yaml"

_CRD = "config/crd/bases/milvus.io_milvuses.yaml"
_OPERATOR_VALUES = "charts/milvus-operator/values.yaml"
_CHART = "charts/milvus"
_FREE = "x-kubernetes-preserve-unknown-fields"
_REFERENCE = re.compile(r"\.Values\.([A-Za-z0-9_.]+)")


@dataclass
class Known:
    """What a chart knows of a value.

    Attributes:
        default: what it is set to when nobody sets it.
            None where that is not written down, and everything goes.
        below: the keys of a mapping; a mapping without any may hold everything.
    """

    default: Any = None
    below: dict[str, Known] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Any) -> Known:
        """What a file of values says."""
        if not isinstance(values, dict):
            return cls(values)
        return cls({}, {str(key): cls.of(value) for key, value in values.items()})

    def learn(self, path: list[str]) -> None:
        """A template reads `.Values.<path>`: there is such a key, though it has no default."""
        if path and (self.below or self.default is None):
            self.below.setdefault(path[0], Known()).learn(path[1:])


def problems_of_values(values: Any, known: Known, where: str = "") -> Iterator[str]:
    """What in `values` a chart does not know, one line each."""
    if isinstance(values, dict) and known.below:
        for key, value in values.items():
            name = f"{where}.{key}".lstrip(".")
            if key in known.below:
                yield from problems_of_values(value, known.below[key], name)
            else:
                yield f"{name}: the chart knows no such value"
    elif known.default not in (None, "") and _kind(values) != _kind(known.default):
        yield f"{where}: {_kind(values)}, but the chart has {_kind(known.default)}"


def problems_of_resource(resource: Any, crd: Any) -> Iterator[str]:
    """What in a custom resource its definition does not know or allow, one line each."""
    from jsonschema import Draft7Validator  # type: ignore[import-untyped]

    version = str(resource.get("apiVersion", "")).rpartition("/")[2]
    schemas = {
        entry["name"]: entry["schema"]["openAPIV3Schema"]
        for entry in crd["spec"]["versions"]
        if entry.get("served")
    }
    if resource.get("kind") != crd["spec"]["names"]["kind"] or version not in schemas:
        yield f"there is no {resource.get('apiVersion')} {resource.get('kind')}"
        return
    for error in Draft7Validator(_strict(schemas[version])).iter_errors(resource):
        yield f"{'.'.join(map(str, error.absolute_path)) or 'the resource'}: {error.message}"


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A CRD's schema as JSON Schema, in which keys that are not in it are errors."""
    made = dict(schema)
    if "properties" in made:
        made["properties"] = {name: _strict(part) for name, part in made["properties"].items()}
        if not made.get(_FREE):
            made.setdefault("additionalProperties", False)
    if isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = _strict(made["additionalProperties"])
    if isinstance(made.get("items"), dict):
        made["items"] = _strict(made["items"])
    if made.get("nullable") and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def _kind(value: Any) -> str:
    kinds = {bool: "a yes or no", int: "a number", float: "a number", str: "a text", list: "a list"}
    return kinds.get(type(value), "a mapping")


def _show(clone: Path, name: str) -> bytes:
    """A file of a clone's HEAD."""
    command = ["git", "-C", str(clone), "show", f"HEAD:{name}"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{clone}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _load(clone: Path, name: str) -> Any:
    return yaml.safe_load(_show(clone, name))


def chart(clone: Path) -> Known:
    """What the chart in `clone` and the charts inside it know."""
    known = Known.of(_load(clone, f"{_CHART}/values.yaml"))
    for part in _load(clone, f"{_CHART}/requirements.yaml")["dependencies"]:
        packed = _show(clone, f"{_CHART}/charts/{part['name']}-{part['version']}.tgz")
        name = part.get("alias", part["name"])
        _merge(known.below.setdefault(name, Known({})), Known.of(_values_inside(packed)))
    listing = ["git", "-C", str(clone), "ls-tree", "--name-only", "HEAD", f"{_CHART}/templates/"]
    for template in subprocess.run(
        listing, capture_output=True, text=True, check=True
    ).stdout.split():
        for path in _REFERENCE.findall(_show(clone, template).decode()):
            known.learn(path.rstrip(".").split("."))
    return known


def _values_inside(packed: bytes) -> Any:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if len(path.parts) == 2 and path.name == "values.yaml":
                file = archive.extractfile(member)
                assert file is not None
                return yaml.safe_load(file)
    return {}


def _merge(known: Known, more: Known) -> None:
    for key, part in more.below.items():
        if key in known.below:
            _merge(known.below[key], part)
        else:
            known.below[key] = part


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("operator", type=Path, metavar="MILVUS_OPERATOR")
    parser.add_argument("helm", type=Path, metavar="MILVUS_HELM")
    given = parser.parse_args()

    known = chart(given.helm)
    resource = yaml.safe_load(OPERATOR_FILE.read_text("utf-8"))
    of_resource = list(problems_of_resource(resource, _load(given.operator, _CRD)))
    # The operator runs this chart for etcd, with the values it is given.
    etcd = resource["spec"]["dependencies"]["etcd"]["inCluster"]["values"]
    of_resource += problems_of_values(etcd, known.below["etcd"], "etcd.inCluster.values")
    of_values = list(problems_of_values(yaml.safe_load(HELM_FILE.read_text("utf-8")), known))

    operator = _load(given.operator, _OPERATOR_VALUES)["image"]["tag"]
    about = _load(given.helm, f"{_CHART}/Chart.yaml")
    for file, against, problems in (
        (OPERATOR_FILE, f"Milvus operator {operator}", of_resource),
        (HELM_FILE, f"chart {about['version']}, whose Milvus is {about['appVersion']}", of_values),
    ):
        print(f"{file.name}: {len(problems)} problems, against {against}")
        for problem in problems:
            print(f"  {problem}")
    return 1 if of_resource or of_values else 0


if __name__ == "__main__":
    raise SystemExit(main())
