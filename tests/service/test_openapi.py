"""/docs.json describes the service: schemathesis finds no response that it does not allow."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# No schema can describe which bytes are a picture, so other bytes are "valid" to it.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 413, 415, 422]
"""


def test_the_document_names_every_endpoint(service):
    paths = service.get("/docs.json").json()["paths"]
    assert {path for path in paths if path.startswith("/vectorize")} == {
        "/vectorize",
        "/vectorize_image",
        "/vectorize_images",
        "/vectorize_text",
        "/vectorize_texts",
    }
    assert {"/model", "/livez", "/readyz", "/metrics"} <= paths.keys()


def test_schemathesis(service, tmp_path):
    command = Path(sys.executable).with_name("schemathesis")
    if not shutil.which(command):
        pytest.skip("pip install schemathesis")
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    line = [command, "--config-file", config, "run", f"{service.url}/docs.json", "--no-color"]
    line += ["--max-examples", "30", "--seed", "1", "--no-shrink"]
    result = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
