# All of Guanwu's commands. `make` alone lists them.

# Any Python from 3.11 on; `make setup PYTHON=python3.12` takes another than the first found.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p))))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c deploy/constraints.txt
REQUIREMENTS := pyproject.toml api/client/pyproject.toml deploy/constraints.txt
BENCHMARKS := $(filter-out callers gallery,$(basename $(notdir $(shell grep -l __main__ tests/benchmarks/*.py))))

# Benchmarks at a time: with more than one, figures mean nothing, but that all run is seen sooner.
BENCH_JOBS ?= 1
# Test processes: what runs stacks and breaks them mostly waits.
PROCESSES ?= 2
WAITING_PROCESSES ?= 3
PYTEST = $(BIN)/python -m pytest -n $(PROCESSES) --dist loadgroup --no-loadscope-reorder --durations 20
QUICK := unit or integration or main_job
# Python keeps bytecode, whatever the environment says: without it each process compiles us anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo up test test-unit test-rest test-all lint bench gallery
.DELETE_ON_ERROR:

help:
	@echo "make setup   install Guanwu into $(VENV)"
	@echo "make demo    photos in, Chinese names and heatmaps out: see out/"
	@echo "make up      Valkey, SeaweedFS, front door and worker on this machine, until Ctrl-C (ARGS=--help)"
	@echo "make test    unit and integration tests and one whole job    ARGS='-k name' picks some"
	@echo "make test-unit    what needs no service    make test-all    all: stacks, faults, browser, conformance"
	@echo "make lint    ruff, mypy --strict, import contracts"
	@echo "make gallery 24 pictures, every method, one sheet to look at: see out/gallery"
	@echo "make bench   all benchmarks      ARGS=--quick takes one iteration"

setup: $(VENV)/.app

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no python3.11 or later found; set PYTHON=/path/to/it" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Guanwu needs Python 3.11 or later, $(PYTHON) is " + sys.version.split()[0])'
	"$(PYTHON)" -m venv $(VENV)

# Stamps: what is installed already takes no time.
$(VENV)/.app: $(REQUIREMENTS) | $(BIN)/python
	@echo "installing Guanwu, the worker and the embedded services into $(VENV) ..."
	$(PIP) --editable ./api/client --editable '.[worker,embedded]'
	@touch $@

$(VENV)/.dev: $(REQUIREMENTS) | $(BIN)/python
	@echo "installing Guanwu and its tools into $(VENV) ..."
	$(PIP) --editable ./api/client --editable '.[dev]'
	@touch $@ $(VENV)/.app

demo: $(VENV)/.app
	@$(BIN)/python -m deploy.demo

up: $(VENV)/.app
	@$(BIN)/python -m deploy.local up $(ARGS)

test: $(VENV)/.dev
	$(PYTEST) -m "$(QUICK)" $(ARGS)

test-unit: $(VENV)/.dev
	$(PYTEST) -m unit --ignore tests/acceptance --ignore tests/browser --ignore tests/faults --ignore tests/conformance $(ARGS)

# What `make test` leaves out, for those who have run it.
test-rest test-all: PROCESSES := $(WAITING_PROCESSES)

test-rest: $(VENV)/.dev
	$(PYTEST) -m "not ($(QUICK)) and not gpu" $(ARGS)

test-all: $(VENV)/.dev
	$(PYTEST) $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/python api/client/unasync.py --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	@printf '%s\n' $(BENCHMARKS) | xargs -P $(BENCH_JOBS) -I NAME sh -c 'set -e; told=$$(mktemp); \
	  $(BIN)/python -m tests.benchmarks.NAME $(ARGS) > $$told 2>&1 || code=$$?; echo "== NAME"; cat $$told; rm $$told; \
	  exit $${code:-0}'

gallery: $(VENV)/.dev
	@$(BIN)/python -m tests.benchmarks.gallery $(ARGS)
