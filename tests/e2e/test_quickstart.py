"""What docs/quickstart.md tells people to do, done."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRICES = "provider,model,bucket,unit_price\nopenai,gpt-4o,input,2\n"
PAGE = (ROOT / "docs/quickstart.md").read_text()


def blocks(section: str, language: str) -> list[str]:
    """The code of a language in a section of the page."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def commands(section: str) -> list[list[str]]:
    """The lines of a section that call spanledger, as argument lists without the program."""
    lines = [line for block in blocks(section, "sh") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("spanledger ")]


def test_an_application_is_on_the_books(smoke: ModuleType, tmp_path: Path, provider_url: str) -> None:
    (program,) = blocks("An application, in five minutes", "python")
    exports = re.findall(r"export (\w+)=(\S+)", "".join(blocks("An application, in five minutes", "sh")))
    with smoke.Collector(tmp_path) as collector:
        environment = {name: value.replace("4317", str(collector.grpc)) for name, value in exports}
        subprocess.run(
            [sys.executable, "-c", program],
            env=collector.environment | environment | {"OPENAI_BASE_URL": provider_url, "OPENAI_API_KEY": "unused"},
            check=True,
            capture_output=True,
            timeout=60,
        )
        # five seconds on a machine that does nothing else; this one runs other tests beside it
        collector.wait_for("SELECT count() FROM calls", 1)
        report, query, doctor = (collector.run(*arguments) for arguments in commands("An application, in five minutes"))
        assert report.returncode == 0, report.stderr
        assert re.search(r"planner.*0\.00337", report.stdout.replace("│", " "))
        assert query.returncode == 0, query.stderr
        assert "planner\tacme\tgpt-4o-2024-08-06\t1500\t90\t0.00337" in query.stdout
        assert doctor.returncode in (0, 1), doctor.stderr
        row = collector.sql_json("SELECT service_name, agent_source FROM calls")[0]
        assert row == {"service_name": "day-planner", "agent_source": "span"}


def test_files_are_replayed_as_often_as_one_likes(smoke: ModuleType, tmp_path: Path) -> None:
    (arguments,) = commands("Behind an OpenTelemetry Collector you have")
    span = {
        "traceId": "0" * 31 + "1",
        "spanId": "0" * 15 + "1",
        "startTimeUnixNano": str(time.time_ns() - 2_000_000_000),
        "endTimeUnixNano": str(time.time_ns() - 1_000_000_000),
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}},
            {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "1"}},
        ],
    }
    folder = tmp_path / arguments[1]
    folder.mkdir()
    (folder / "traces.jsonl").write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))
    with smoke.Collector(tmp_path) as collector:
        for _ in range(2):
            replayed = collector.run(*arguments)
            assert replayed.returncode == 0, replayed.stderr
        assert collector.sql_json("SELECT count() AS calls FROM calls")[0]["calls"] in (1, "1")


def test_the_files_for_production_are_right(smoke: ModuleType, tmp_path: Path) -> None:
    """Their secrets lie elsewhere on this machine; everything else is as written."""
    (text,) = blocks("Production", "yaml")
    for path in re.findall(r"/(?:run|etc)/[\w/.-]+", text):
        mine = tmp_path / Path(path).name
        mine.write_text(
            "provider,model,bucket,unit_price\nopenai,gpt-4o,input,2\n" if mine.suffix == ".csv" else "a-secret"
        )
        text = text.replace(path, str(mine))
    (tmp_path / "spanledger.yaml").write_text(text)
    check, *rest = commands("Production")
    checked = smoke.Collector(tmp_path).run(*check)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert [arguments[0] for arguments in rest] == ["doctor", "serve"]


@pytest.mark.parametrize("target", ["demo", "run"])
def test_the_targets_exist(target: str) -> None:
    assert f"make {target}\n" in blocks("Try it", "sh")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.M)
