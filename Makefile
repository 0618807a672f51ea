# Every target works from a fresh clone: it makes its own .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# LOCK=.ci/requirements.txt: nothing but the wheels named there by their hashes (Linux, Python 3.11), as the gate does.
LOCK   ?=

.DEFAULT_GOAL := help
.PHONY: help run demo test check lint types imports bench faults chain dashboards accuracy fix clean

help: ## List the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check

$(READY): pyproject.toml $(LOCK)
	$(PYTHON) -m venv $(VENV)
ifdef LOCK
	$(PIP) install --require-hashes --only-binary=:all: --requirement $(LOCK)
	$(PIP) install --no-deps --no-build-isolation --editable .
	$(PIP) check
else
	$(PIP) install --upgrade "pip>=25.1"
	$(PIP) install --editable ".[embedded]" --group dev
endif
	@touch $(READY)

run: $(READY) ## Start the collector on its embedded store (./spanledger-data).
	$(BIN)/spanledger serve

demo: $(READY) ## Start a collector in a temporary directory, send traffic, print reports.
	$(BIN)/python -m spanledger.demo

test: $(READY) ## Run the tests.
	$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

check: lint types imports test ## Everything a change must pass: ruff, mypy strict, import-linter, tests.

fix: $(READY) ## Format and repair what ruff can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## CPU microseconds per span, stage by stage and end to end.
	$(BIN)/python -m bench

faults: $(READY) ## Damage a running collector in every way listed and print what was lost (nothing).
	$(BIN)/python -m bench.faults

# An OpenTelemetry Collector with the components that deploy/opentelemetry-collector names; needs Go.
OTELCOL := .otelcol/build/otelcol

$(OTELCOL): tests/deploy/otelcol/builder.yaml
	GOBIN=$(CURDIR)/.otelcol go install go.opentelemetry.io/collector/cmd/builder@v0.161.0
	.otelcol/builder --config $<

chain: $(READY) $(OTELCOL) ## Build an OpenTelemetry Collector and test what stands behind it (needs Go; some minutes).
	SPANLEDGER_TEST_OTELCOL=$(CURDIR)/$(OTELCOL) $(BIN)/python -m pytest -q tests/deploy/test_chain.py

dashboards: $(READY) ## Generate the Grafana dashboards and alert rules again.
	$(BIN)/python -m tools.dashboards

accuracy: $(READY) ## Replay the captured corpus and hold the score against the bars.
	$(BIN)/python -m bench.accuracy

clean: ## Remove the virtual environment and caches.
	rm -rf $(VENV) .otelcol .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
