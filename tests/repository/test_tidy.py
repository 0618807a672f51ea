"""House rules are a test: sizes, banned calls, where SQL lives, what documents may name."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["core", "receiver", "processor", "exporter", "collector"]
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400
METRICS = "core/spanledger_core/metrics.py"
BANNED_CALLS = {
    "time.time": "take a spanledger_core.clock.Clock",
    "time.time_ns": "take a spanledger_core.clock.Clock",
    "time.sleep": "take a spanledger_core.clock.Clock",
    "time.monotonic": "take a spanledger_core.clock.Clock",
    "datetime.now": "take a spanledger_core.clock.Clock",
    "datetime.utcnow": "take a spanledger_core.clock.Clock",
    "uuid.uuid4": "use Clock.token()",
    "uuid4": "use Clock.token()",
    "eval": "parse it",
    "exec": "import it",
    "print": "use the console or the log",
}
MAY_CALL = {
    "core/spanledger_core/clock.py": {"time.time_ns", "time.sleep", "time.monotonic"},
    # says which extra to install while rich is missing
    "collector/spanledger/__main__.py": {"print"},
}
BROAD_EXCEPT_MAX = 12
"""Stage borders only; lower this when you can."""


def python_files() -> Iterator[Path]:
    for folder in SOURCES:
        yield from sorted((ROOT / folder).rglob("*.py"))


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def long_functions(text: str) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                found.append((node.name, lines))
    return found


@pytest.mark.parametrize("path", list(python_files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_source_file_keeps_the_house_rules(path: Path) -> None:
    relative = str(path.relative_to(ROOT))
    text = path.read_text()
    faults = [f"{name}() has {lines} lines" for name, lines in long_functions(text)]
    if text.count("\n") > MODULE_LINES_MAX:
        faults.append(f"{text.count(chr(10))} lines, at most {MODULE_LINES_MAX}: split by subject")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            called = name_of(node.func)
            if called in BANNED_CALLS and called not in MAY_CALL.get(relative, set()):
                faults.append(f"line {node.lineno}: {called}(): {BANNED_CALLS[called]}")
    if re.search(r"\b(CREATE TABLE|INSERT INTO|ALTER TABLE)\b", text):
        faults.append("SQL statements live in schemas/*.sql")
    if re.search(r"\b(TODO|FIXME|XXX)\b", text):
        faults.append("unfinished marks are not committed")
    if not text.startswith(('"""', "#!")):
        faults.append("no module docstring")
    assert not faults, f"{relative}: " + "; ".join(faults)


def test_broad_excepts_are_few() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"except (Base)?Exception\b", line)
    ]
    assert len(found) <= BROAD_EXCEPT_MAX, found


def test_the_length_rule_sees_a_long_function() -> None:
    body = "\n".join("    pass" for _ in range(FUNCTION_LINES_MAX))
    assert long_functions(f"def f() -> None:\n{body}\n") == [("f", FUNCTION_LINES_MAX + 1)]
    assert not long_functions("def f() -> None:\n    pass\n")


def markdown_files() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("path", markdown_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_document_has_one_title_and_no_dead_links(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    assert len(re.findall(r"^# ", text, flags=re.M)) == 1, "one '# Title' per document"
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
        assert (path.parent / target).exists(), f"link to {target} leads nowhere"


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w/.]+\.md)", (ROOT / "README.md").read_text()))
    pages = {str(path.relative_to(ROOT)) for path in markdown_files()}
    assert pages - linked <= {"README.md", "CHANGELOG.md"}


def test_every_path_architecture_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`([\w./-]+/[\w.*-]*)`", text))
    missing = [name for name in named if not list(ROOT.glob(name.rstrip("/")))]
    assert named
    assert not missing


def test_every_dependency_is_justified() -> None:
    """What the product brings, what its developers install, what the gate adds, and what makes a release."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = settings["project"]
    product = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    page, locks = (ROOT / "docs/dependencies.md").read_text().split("\n## Locks\n")
    assert "| `" not in locks
    groups = settings["dependency-groups"]
    pages = re.split(r"\n## (?:Development|Gate|Release)\n", page)
    for wanted, page in zip((product, groups["dev"], groups["gate"], groups["release"]), pages, strict=True):
        names = {re.split(r"[\[<>=]", line)[0] for line in wanted} - {"spanledger"}
        assert set(re.findall(r"^\| `([\w-]+)` \|", page, flags=re.M)) == names


def test_every_metric_is_counted_somewhere() -> None:
    """A gauge that nobody sets reads 0 for ever: boards look well and alerts keep silent."""
    declared = re.findall(r"self\.(\w+) = (?:counter|gauge|seconds)\(", (ROOT / METRICS).read_text())
    text = "".join(path.read_text() for path in python_files() if path != ROOT / METRICS)
    assert len(declared) > 20
    assert [name for name in declared if not re.search(rf"metrics\.{name}\b", text)] == []
