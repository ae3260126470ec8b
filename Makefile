# Every target is complete on a fresh machine: it makes .venv and installs what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# What the demo needs is installed alone, so that the first look at the product is not paid for by the test tools.
DEMO   := $(VENV)/.installed-virtual
STAMP  := $(VENV)/.installed-dev
WORKERS ?= auto

.PHONY: demo test test-long check lint bench footprint clean
.DEFAULT_GOAL := demo

$(VENV)/.installed-%: pyproject.toml provisioning/_bootstrap.py
	@$(PYTHON) provisioning/_bootstrap.py $(VENV) $*
	@touch $@

demo: $(DEMO)
	@$(BIN)/twinroot demo

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) -m "not long" -q

test-long: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) -m long -q --timeout 7200

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

bench: $(STAMP)
	$(BIN)/python -m tests.bench

footprint: $(STAMP)
	$(BIN)/python -m tests.footprint

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
