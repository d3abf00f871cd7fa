"""Check the files of docs/scale-out/ against Milvus' operator and chart.

    python tools/check_milvus_values.py MILVUS_OPERATOR MILVUS_HELM

The arguments are clones of github.com/zilliztech/milvus-operator and milvus-helm, bare or not;
their HEAD is read. Unknown keys and values of the wrong type are printed; the exit code is then 1.
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
class ChartValue:
    """A value that a chart takes.

    Attributes:
        default: what the chart sets; None where it sets nothing, and any type is allowed.
        children: the keys of a mapping; a mapping without children may have any keys.
    """

    default: Any = None
    children: dict[str, ChartValue] = field(default_factory=dict)

    @classmethod
    def from_values(cls, values: Any) -> ChartValue:
        """The values of a chart's values.yaml."""
        if not isinstance(values, dict):
            return cls(values)
        return cls({}, {str(key): cls.from_values(value) for key, value in values.items()})

    def add_reference(self, path: list[str]) -> None:
        """Add a key that a template reads as `.Values.<path>`, without a default."""
        if path and (self.children or self.default is None):
            self.children.setdefault(path[0], ChartValue()).add_reference(path[1:])


def problems_of_values(values: Any, spec: ChartValue, path: str = "") -> Iterator[str]:
    """Keys of `values` that a chart does not take, and values of a wrong type, one line each."""
    if isinstance(values, dict) and spec.children:
        for key, value in values.items():
            name = f"{path}.{key}".lstrip(".")
            if key in spec.children:
                yield from problems_of_values(value, spec.children[key], name)
            else:
                yield f"{name}: the chart takes no such value"
    elif spec.default not in (None, "") and _kind(values) != _kind(spec.default):
        yield f"{path}: {_kind(values)}, but the chart has {_kind(spec.default)}"


def problems_of_resource(resource: Any, crd: Any) -> Iterator[str]:
    """Parts of a custom resource that its definition does not allow, one line each."""
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
    """A CRD's schema as a JSON Schema that allows no other keys."""
    strict = dict(schema)
    if "properties" in strict:
        strict["properties"] = {name: _strict(part) for name, part in strict["properties"].items()}
        if not strict.get(_FREE):
            strict.setdefault("additionalProperties", False)
    if isinstance(strict.get("additionalProperties"), dict):
        strict["additionalProperties"] = _strict(strict["additionalProperties"])
    if isinstance(strict.get("items"), dict):
        strict["items"] = _strict(strict["items"])
    if strict.get("nullable") and isinstance(strict.get("type"), str):
        strict["type"] = [strict["type"], "null"]
    return strict


def _kind(value: Any) -> str:
    kinds = {bool: "a yes or no", int: "a number", float: "a number", str: "a text", list: "a list"}
    return kinds.get(type(value), "a mapping")


def _show(clone: Path, name: str) -> bytes:
    """A file of a clone's HEAD."""
    command = ["git", "-C", str(clone), "show", f"HEAD:{name}"]
    process = subprocess.run(command, capture_output=True, check=False)
    if process.returncode:
        raise SystemExit(f"{clone}: {process.stderr.decode(errors='replace').strip()}")
    return process.stdout


def _load(clone: Path, name: str) -> Any:
    return yaml.safe_load(_show(clone, name))


def chart(clone: Path) -> ChartValue:
    """The values that the chart in `clone` and the charts inside it take."""
    spec = ChartValue.from_values(_load(clone, f"{_CHART}/values.yaml"))
    for dependency in _load(clone, f"{_CHART}/requirements.yaml")["dependencies"]:
        packed = _show(clone, f"{_CHART}/charts/{dependency['name']}-{dependency['version']}.tgz")
        name = dependency.get("alias", dependency["name"])
        values = ChartValue.from_values(_values_inside(packed))
        _merge(spec.children.setdefault(name, ChartValue({})), values)
    listing = ["git", "-C", str(clone), "ls-tree", "--name-only", "HEAD", f"{_CHART}/templates/"]
    for template in subprocess.run(
        listing, capture_output=True, text=True, check=True
    ).stdout.split():
        for path in _REFERENCE.findall(_show(clone, template).decode()):
            spec.add_reference(path.rstrip(".").split("."))
    return spec


def _values_inside(packed: bytes) -> Any:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if len(path.parts) == 2 and path.name == "values.yaml":
                file = archive.extractfile(member)
                assert file is not None
                return yaml.safe_load(file)
    return {}


def _merge(spec: ChartValue, more: ChartValue) -> None:
    for key, part in more.children.items():
        if key in spec.children:
            _merge(spec.children[key], part)
        else:
            spec.children[key] = part


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("operator", type=Path, metavar="MILVUS_OPERATOR")
    parser.add_argument("helm", type=Path, metavar="MILVUS_HELM")
    arguments = parser.parse_args()

    spec = chart(arguments.helm)
    resource = yaml.safe_load(OPERATOR_FILE.read_text("utf-8"))
    resource_problems = list(problems_of_resource(resource, _load(arguments.operator, _CRD)))
    # The operator runs this chart for etcd, with the values it is given.
    etcd = resource["spec"]["dependencies"]["etcd"]["inCluster"]["values"]
    resource_problems += problems_of_values(etcd, spec.children["etcd"], "etcd.inCluster.values")
    values = yaml.safe_load(HELM_FILE.read_text("utf-8"))
    value_problems = list(problems_of_values(values, spec))

    operator = _load(arguments.operator, _OPERATOR_VALUES)["image"]["tag"]
    info = _load(arguments.helm, f"{_CHART}/Chart.yaml")
    for file, against, problems in (
        (OPERATOR_FILE, f"Milvus operator {operator}", resource_problems),
        (HELM_FILE, f"chart {info['version']} of Milvus {info['appVersion']}", value_problems),
    ):
        print(f"{file.name}: {len(problems)} problems, against {against}")
        for problem in problems:
            print(f"  {problem}")
    return 1 if resource_problems or value_problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
