# Every target is complete on a fresh machine: it makes .venv and installs what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# What the demo needs is installed alone, so that the first look at the product is not paid for by the test tools.
DEMO   := $(VENV)/.installed-virtual
STAMP  := $(VENV)/.installed-dev
# Tests mostly wait, for wires that take their time and for patience that ends: four times as many of them as processors run at once.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(4 * (os.cpu_count() or 1))')

.PHONY: demo test test-long check lint silicon soak drill bench bench-link bench-flash conformance footprint clean
.DEFAULT_GOAL := demo

$(VENV)/.installed-%: pyproject.toml provisioning/_bootstrap.py
	@$(PYTHON) provisioning/_bootstrap.py $(VENV) $*
	@touch $@

demo: $(DEMO)
	@$(BIN)/twinroot demo

# Real sockets, pacing and power cuts share the processors with each other here. What fails beside others is run once more alone, and
# both runs are printed: what fails alone is broken, what passes alone is worth a look.
# A thousand processes start in a run, of boards, clouds and commands: each of them would compile its modules again where the environment
# forbids to keep that.
test test-long: export PYTHONDONTWRITEBYTECODE :=

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) -m "not long" -q \
	|| $(BIN)/python -m pytest --last-failed --last-failed-no-failures none -m "not long" -q

test-long: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) -m long -q --timeout 7200

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check: lint test

# Speed, peers in the same run. bench-link: every job, against mpremote, mpytool and ampy (BENCH="--quick": two rounds); bench-flash: blank
# board to PASS against esptool and mpremote.
bench: bench-link bench-flash

bench-link: $(STAMP)
	$(BIN)/python -m tests.bench $(BENCH)

bench-flash: $(STAMP)
	$(BIN)/python -m tests.flash.bench

# The virtual board held to other people's tests, from checkouts that you have: make conformance ESPTOOL=DIR, MICROPYTHON=DIR, or both
conformance: $(STAMP)
	$(BIN)/python -m tests.virtual.conformance $(if $(ESPTOOL),--esptool $(ESPTOOL)) $(if $(MICROPYTHON),--micropython $(MICROPYTHON))

# Every job on emulated chips that run your images: make silicon QEMU=DIR FIRMWARE="FILE…" [ROWS=update,verify REPEAT=10 JSON=1]
silicon: $(STAMP)
	@test -n "$(QEMU)" -a -n "$(FIRMWARE)" || { echo 'Give QEMU=DIR and FIRMWARE="FILE…"; see docs/virtual-board.md.' >&2; exit 2; }
	$(BIN)/python -m tests.silicon --qemu $(QEMU) $(if $(ROWS),--rows $(ROWS)) $(if $(REPEAT),--repeat $(REPEAT)) $(if $(JSON),--json) $(FIRMWARE)

# A station's long run: 8 slots, 500 boards, faults of every kind, 20 kills, 5 restarts of a PostgreSQL server. SOAK="--boards 50 --kills 2".
soak: $(STAMP)
	$(BIN)/python -m tests.soak $(SOAK)

# 200 devices leave a root, by twinroot's own commands, with what goes wrong in a fleet: docs/fleet.md. DRILL="--boards 100".
drill: $(STAMP)
	$(BIN)/python -m tests.drill $(DRILL)

# make footprint MICROPYTHON=path/of/a/32-bit/build measures that beside the usual one.
footprint: $(STAMP)
	$(BIN)/python -m tests.footprint $(if $(MICROPYTHON),--micropython $(MICROPYTHON))

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
