"""The dashboards as checked in: generated, portable, and explained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tools.dashboards.asking import GRAFANA, Target, targets
from tools.dashboards.files import generated
from tools.dashboards.model import panels_of

BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in panels_of(board)]
IDS = [f"{name} {panel['title']}" for name, panel in PANELS]
VIEWS = {"calls", "hourly", "hourly_customer", "budgets"}
each_board = pytest.mark.parametrize("name", BOARDS)
each_panel = pytest.mark.parametrize(("name", "panel"), PANELS, ids=IDS)


def test_the_files_are_what_the_code_makes() -> None:
    files = generated()
    stale = [name for name, text in files.items() if (GRAFANA / name).read_text() != text]
    assert not stale, "run python -m tools.dashboards"
    shipped = {f"{path.parent.name}/{path.name}" for path in GRAFANA.glob("[da]*/*")}
    assert shipped == set(files), "a file that no code makes any more"


@each_board
def test_a_board_can_be_told_and_found(name: str) -> None:
    board = BOARDS[name]
    assert board["uid"] == f"spanledger-{name}"
    assert board["schemaVersion"] == 41
    assert board["tags"] == ["spanledger"]
    assert len(board["description"]) > 20
    (link,) = board["links"]
    assert link["keepTime"]
    assert link["includeVars"]


@each_board
def test_panels_fill_the_screen_and_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    numbers = []
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        numbers.append(panel["id"])
    assert len(numbers) == len(set(numbers))
    width, height = (max(cell[axis] for cell in taken) + 1 for axis in (0, 1))
    assert width == 24
    assert len(taken) == width * height, "no holes"


@each_panel
def test_a_panel_explains_itself(name: str, panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 15
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"].get("unit") or panel["type"] in ("table", "alertlist")
    assert panel["fieldConfig"]["defaults"].get("noValue") or panel["type"] in ("alertlist",)


@each_panel
def test_a_table_dresses_exactly_the_columns_of_its_query(name: str, panel: dict[str, Any]) -> None:
    if panel["type"] != "table":
        return
    dressed = [each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]]
    sql = panel["targets"][0]["rawSql"]
    assert len(dressed) == len(set(dressed))
    assert [column for column in dressed if not re.search(rf"\b{column}\b", sql)] == []


@each_panel
def test_a_table_fits_a_screen_of_1280_pixels(name: str, panel: dict[str, Any]) -> None:
    if panel["type"] != "table":
        return
    needed = 0
    for each in panel["fieldConfig"]["overrides"]:
        properties = {prop["id"]: prop["value"] for prop in each["properties"]}
        assert properties["unit"], "text is text, numbers have a unit"
        width = properties.get("custom.width") or properties["custom.minWidth"]
        needed += width
        if "custom.width" in properties:
            assert width >= 7.5 * len(properties["displayName"]) + 14, "the heading is readable"
    assert needed <= 1272 / 24 * panel["gridPos"]["w"] - 26, f"columns need {needed} px"


@each_board
def test_no_data_source_is_hard_coded(name: str) -> None:
    """A file with a uid in it works on the machine it was made on."""
    uids = set(re.findall(r'"uid": "([^"]*)"', json.dumps(BOARDS[name]))) - {BOARDS[name]["uid"]}
    assert uids <= {"${datasource}", "${prometheus}", "-- Grafana --"}


def links(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["url"]] if isinstance(value.get("url"), str) else []
        return own + [url for each in value.values() for url in links(each)]
    return [url for each in value for url in links(each)] if isinstance(value, list) else []


@each_board
def test_links_lead_to_boards_that_take_what_they_carry(name: str) -> None:
    here = {each["name"] for each in BOARDS[name]["templating"]["list"]}
    for url in filter(None, links(BOARDS[name]["panels"])):
        if not url.startswith("/d/"):
            assert url.startswith("${trace_url:raw}")
            assert "trace_url" in here
            continue
        target = BOARDS[url.removeprefix("/d/spanledger-").partition("?")[0]]
        there = {each["name"] for each in target["templating"]["list"]}
        set_here = set(re.findall(r"var-(\w+)=", url))
        carried = set(re.findall(r"\$\{(\w+):queryparam\}", url))
        assert set_here | (carried & here) <= there
        assert carried <= here, f"{url} carries a variable this board does not have"
        assert "${__url_time_range}" in url


@pytest.mark.parametrize("target", targets(), ids=[f"{each.board} {each.name}" for each in targets()])
def test_a_query_reads_views_only_and_takes_names_only_encoded(target: Target) -> None:
    without_text = re.sub(r"'[^']*'|WITH FILL\s+FROM", "''", target.sql)
    ctes = set(re.findall(r"\b(\w+) AS \(\s*SELECT", without_text))
    read = set(re.findall(r"\b(?:FROM|JOIN)\s+([a-z_.]+)", without_text)) - ctes
    assert read <= VIEWS | {"numbers"}
    used = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", target.sql)) | set(re.findall(r"\$(?!_)(\w+)", target.sql))
    assert used <= target.variables
    assert set(re.findall(r"\$\{\w+:?(\w*)\}", target.sql)) <= {"queryparam"}, "no other format survives a backslash"
    bare = re.findall(r"\$(?!_)\w+", target.sql)
    assert len(bare) == target.sql.count("$__conditionalAll"), "a bare variable stands only as the macro's argument"
    assert re.search(r"{\w+", re.sub(r"\$\{[^}]*\}", "", target.sql)) is None, "a placeholder was left"


def test_the_dashboards_are_found_as_package_data() -> None:
    from spanledger_core import assets

    folder = assets.folder("spanledger", "grafana")
    assert Path(str(folder / "dashboards" / "overview.json")).is_file()
