"""Commands that use encoders of which some are sick: a real service behind faulty gateways."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

import pytest

from tests.faults.fleet import FLAKY, Soak, proxied
from tests.running import Cli, process
from tests.serving import Served


def hang() -> str:
    return "hang"


@pytest.mark.parametrize("fault", ["hang", "502", "504", "reset", "early"])
def test_a_search_does_not_wait_for_a_sick_encoder(
    service: Served, imported: Path, fault: str
) -> None:
    with proxied(service.port, lambda: fault) as sick, proxied(service.port) as good:
        urls = f"{sick.url} {good.url}"
        began = time.monotonic()
        search = process("search", "a red circle", "--encoder-url", urls, "--json")
        out, err = search.communicate(timeout=60)
        assert time.monotonic() < began + 12
    assert search.returncode == 0, out + err
    assert '"score"' in out
    assert len(re.findall(f"{re.escape(sick.url)}.*going on without it", err)) == 1
    assert f"the service at {good.url}" not in err


def test_a_search_ends_when_its_time_is_up(service: Served, imported: Path, cli: Cli) -> None:
    with proxied(service.port, hang) as one, proxied(service.port, hang) as two:
        began = time.monotonic()
        ran = cli("search", "dog", "--encoder-url", f"{one.url} {two.url}", "--wait", "2")
        assert time.monotonic() < began + 10
    assert ran.code == 5
    assert "within 2 s" in ran.err
    assert one.url in ran.err
    assert two.url in ran.err
    assert "--wait SECONDS" in ran.err


@pytest.mark.parametrize("fault", [fault for fault in FLAKY if fault != "slow"])
@pytest.mark.parametrize("before", [0, 3])
def test_an_import_outlives_an_outage(
    service: Served, gallery: Path, cli: Cli, fault: str, before: int
) -> None:
    requests = itertools.count()
    sick_until: list[float] = []

    def sick_for_seconds() -> str:
        if next(requests) < before:
            return ""
        if not sick_until:
            sick_until.append(time.monotonic() + 3)
        return fault if time.monotonic() < sick_until[0] else ""

    with proxied(service.port, sick_for_seconds) as gateway:
        ran = cli("import", gallery, "--encoder-url", gateway.url, "--patience", "60")
        assert ran.code == 0, ran.err
        assert cli("collections", "show", "images", mode="json").json["rows"] == 40
    assert "waiting up to" in ran.err
    assert "is back after" in ran.err


def test_an_encoder_with_another_model_is_left_out_of_a_search(
    service: Served, imported: Path, cli: Cli, tmp_path: Path
) -> None:
    from tests.unit.encoders.remote.services import another_model, scripted

    with scripted() as serve:
        other, _ = serve(another_model)
        urls = f"{other} {service.url}"
        ran = cli("search", "a red circle", "--encoder-url", urls, mode="json")
        assert ran.code == 0, ran.out
        assert ran.err.count(f"the service at {other} has the model other/model") == 1
        ran = cli("search", "a red circle", "--encoder-url", other)
        assert ran.code != 0
        assert "other/model" in ran.err


@pytest.mark.slow
def test_a_fleet_serves_imports_and_searches(tmp_path: Path) -> None:
    soak = Soak(tmp_path)
    soak.run(20, pictures=60)
    assert len(soak.fleet.seconds) > 3
    assert not soak.fleet.failures
    assert soak.imports
    assert not soak.import_failures
