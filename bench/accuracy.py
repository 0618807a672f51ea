"""`make accuracy`: replay the captured corpus, score what was booked, hold the figures against the bars.

The corpus lies beside the checkout (../shared/corpus); without it there is nothing to measure and this says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT.parent / "shared" / "corpus"
COLUMNS = (
    "trace_id, span_id, response_id, service_name, provider, request_model, response_model, agent_id, agent_source, "
    "customer_id, session_id, user_id, operation, is_streaming, status, input_tokens, output_tokens, "
    "cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, reasoning_tokens, audio_input_tokens, "
    "audio_output_tokens, toString(cost_usd) AS cost_usd, cost_status"
)
SPANLEDGER = [sys.executable, "-m", "spanledger"]


def replayed(store: str, folder: Path) -> Path:
    """Replay every captured request in one run; the booked rows as JSON lines."""
    requests = sorted((CORPUS / "dev").glob("*/request-*.pb"))
    done = subprocess.run(
        [*SPANLEDGER, "replay", *map(str, requests), "--store", store, "--prices", str(CORPUS / "prices.csv")],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    print(done.stdout.strip())
    asked = subprocess.run(
        [*SPANLEDGER, "query", f"SELECT {COLUMNS} FROM calls", "--store", store, "--format", "JSONEachRow"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    rows = folder / "rows.jsonl"
    rows.write_bytes(asked.stdout)
    return rows


def share(part: float, whole: float) -> float:
    """In percent; an empty whole is complete."""
    return 100.0 * part / whole if whole else 100.0


def bars(score: dict[str, Any]) -> list[tuple[str, float, str, float]]:
    """(what, measured, relation, bar) from the JSON of score.py."""
    totals: dict[str, int] = {"extra": 0, "missed": 0} | score["totals"]

    def of(part: str, whole: str) -> float:
        return share(totals.get(part, 0), totals.get(whole, 0))

    bad = sum(totals.get(key, 0) for key in ("nu_zero", "nu_invented", "lw_invented", "lw_zero"))
    return [
        ("scenarios exact", share(totals.get("exact", 0), len(score["scenarios"])), ">=", 100),
        ("extra rows", totals["extra"], "<=", 0),
        ("missed calls", totals["missed"], "<=", 0),
        ("tokens exact %", of("tok_ok", "visible"), ">=", 99.5),
        ("cost exact %", of("cost_ok", "cost_n"), ">=", 99.5),
        ("dollars off %", abs(float(score["factor"]) - 1) * 100, "<=", 0.1),
        ("agent right %", of("ag_right", "ag_n"), ">=", 98),
        ("agent wrong", totals.get("ag_wrong", 0) + totals.get("aginv_wrong", 0), "<=", 0),
        ("customer right %", of("customer_right", "customer_n"), ">=", 97),
        ("customer wrong", totals.get("customer_wrong", 0), "<=", 0),
        ("session right %", of("session_right", "session_n"), ">=", 97),
        ("session wrong", totals.get("session_wrong", 0), "<=", 0),
        ("user right %", of("user_right", "user_n"), ">=", 97),
        ("user wrong", totals.get("user_wrong", 0), "<=", 0),
        ("provider right %", of("prov_right", "prov_n"), ">=", 99),
        ("model right %", of("model_right", "model_n"), ">=", 99),
        ("no-usage bad", bad, "<=", 0),
    ]


def main(arguments: list[str]) -> int:
    """Exit status 0 when every bar holds; `-v` shows what score.py says about each scenario."""
    if not (CORPUS / "dev").is_dir():
        print(f"no corpus at {CORPUS}: nothing measured")
        return 0
    with tempfile.TemporaryDirectory(prefix="spanledger-accuracy-") as name:
        folder = Path(name)
        rows = replayed(f"chdb://{folder}/store", folder)
        report = folder / "score.json"
        subprocess.run(
            [
                sys.executable,
                str(CORPUS / "score.py"),
                *("--corpus", str(CORPUS / "dev"), "--rows", str(rows), "--json", str(report)),
                *arguments,
            ],
            check=True,
        )
        score = json.loads(report.read_text())
    failed = 0
    for what, measured, relation, bar in bars(score):
        good = measured >= bar if relation == ">=" else measured <= bar
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {what:20} {measured:10.3f}  {relation} {bar}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
