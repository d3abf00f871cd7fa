"""stack.env: `docker compose --env-file` and the next command read what `up` was given."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from clipstack.settings import stack_variables

NAME = "CLIPSTACK_MINIO_PASSWORD"
PASSWORDS = (
    *("plain", "it's", "'quoted'", '"quoted"', 'a"b', "a b ", " a", "#no comment", "a #b", "a=b"),
    *("$HOME", "${HOME}", "$$", "a$", r"\$HOME", "`id`", "$(id)", "%d", "{{.ID}}"),
    *("\\", "a\\", r"\\", r"\n", r"a\'b", r"\"", "\\'", r"\0101", r"\x41", r"\t"),
    *("two\nlines", "\n", "ends\n", "a\r\nb", "a\rb", "tab\tbed", "\x0b\x0c\x85\u2028"),
    *("pässwörd", "パスワード", "\U0001f511", "e\u0301", "\ufeff", "x" * 5000),
)


@pytest.mark.parametrize("password", PASSWORDS, ids=lambda password: ascii(password[:20]))
def test_it_carries_every_password(
    password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_DATA_DIR", str(tmp_path))
    monkeypatch.delenv(NAME, raising=False)
    file = stack_variables.write("clipstack", {**stack_variables.defaults(), NAME: password})
    assert stack_variables.variables("clipstack", {})[NAME] == password
    composed = tmp_path / "compose.yaml"
    composed.write_text(f"services: {{s: {{image: i, environment: {{P: '${{{NAME}}}'}}}}}}")
    command = ["docker", "compose", "--env-file", file, "--file", composed, "config"]
    run = subprocess.run([*command, "--format=json"], capture_output=True, text=True, check=True)
    shown = json.loads(run.stdout)["services"]["s"]["environment"]["P"]
    assert shown.replace("$$", "$") == password  # `config` writes what it would read again
