# rcdbg: `make run` and `make test` do everything; `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
STAMPS := .make
SYSTEM := $(STAMPS)/system
PACKAGES := $(STAMPS)/packages

# Tests at once, and a worker without any left takes them from another.
JOBS := -n auto --maxprocesses 4 --dist worksteal
VARIANTS := tests/integration/test_variants.py

.PHONY: help run test setup kernel lint lint-python lint-kernel test-kernel test-unit \
	test-tui test-integration test-variants test-real real-kernels first-tests mutants doctor bench fuzz docs clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: setup kernel ## install what is missing, build the kernel, open the debugger
	@$(BIN)/rcdbg $(ARGS)

test: setup ## install, check and test everything
	@$(MAKE) --no-print-directory -j2 first-tests real-kernels
	@$(MAKE) --no-print-directory test-real test-variants

# One after the other: each has tests that use all cores. Cargo would look for make's job server.
first-tests: setup
	@unset MAKEFLAGS MFLAGS; for goal in lint test-kernel kernel test-unit test-tui test-integration; do \
		$(MAKE) --no-print-directory $$goal; \
	done

setup: $(SYSTEM) $(PACKAGES) ## install what is missing

$(SYSTEM): tools/install.sh
	@mkdir -p $(STAMPS)
	@tools/install.sh
	@touch $@

$(PACKAGES): pyproject.toml | $(SYSTEM)
	@mkdir -p $(STAMPS)
	@test -x $(PYTHON) || { echo "[setup] making $(VENV)"; python3 -m venv $(VENV); }
	@echo "[setup] installing the Python packages"
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/pip install --quiet --disable-pip-version-check --only-binary :all: -e '.[gdb]' \
		|| echo "[setup] no gdb wheel for this machine: gdb-multiarch is used"
	@touch $@

kernel: $(SYSTEM) ## build the kernel
	@kernel/build.sh build

real-kernels: $(SYSTEM) ## fetch and build the kernels of a tutorial, for test-real: minutes, once
	@tests/real/build.sh
	@tests/real/arceos.sh

lint: lint-python lint-kernel ## all static checks

lint-python: $(PACKAGES) ## ruff, mypy --strict, import-linter, our own rules for sources
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/lint

lint-kernel: $(SYSTEM) ## rustfmt and clippy
	kernel/build.sh fmt --check
	kernel/build.sh clippy

test-kernel: $(SYSTEM) ## the kernel's algorithms, on the host
	kernel/build.sh test

# They start a thousand Python processes: what one has compiled is there for the others.
lint-python test-unit test-tui test-integration test-variants test-real mutants doctor fuzz: export PYTHONDONTWRITEBYTECODE :=

test-unit: $(PACKAGES) ## tests without QEMU
	$(BIN)/pytest $(JOBS) tests/unit

test-tui: $(PACKAGES) ## the full-screen debugger on a session that is made up, without QEMU
	$(BIN)/pytest $(JOBS) tests/tui

test-integration: $(PACKAGES) kernel ## tests on the real kernel, in QEMU and with both gdbs
	$(BIN)/pytest $(JOBS) tests/integration tests/traces --ignore=$(VARIANTS)

test-real: $(PACKAGES) kernel real-kernels ## tests on kernels of others, as they are
	$(BIN)/pytest $(JOBS) tests/real

test-variants: $(PACKAGES) kernel ## the same tests on other builds of the kernel, one after the other
	$(BIN)/pytest $(VARIANTS)

mutants: $(PACKAGES) kernel ## kernels with a fault each: the tests in tests/traces must name it
	$(PYTHON) -m tests.mutants $(ARGS)

doctor: $(PACKAGES) kernel ## kernels with a fault each: how many the doctor names, and what it says wrongly
	$(PYTHON) -m tests.doctor $(ARGS)

bench: $(PACKAGES) kernel ## what a user waits for, what decoding and tracing take, beside gdb and QEMU
	$(PYTHON) -m tests.bench
	$(PYTHON) -m tests.bench_engine
	$(PYTHON) -m tests.bench_live
	$(PYTHON) -m tests.bench_trace

fuzz: $(PACKAGES) kernel ## 10,000 kernels with damaged memory: each must still be shown
	$(PYTHON) -m tests.fuzz $(ARGS)

docs: $(PACKAGES) kernel ## make the pictures of the README and docs anew
	$(PYTHON) -m tools.refresh_docs

clean: ## remove what was built, but not what was installed
	rm -rf kernel/target build dist $(STAMPS) .mypy_cache .ruff_cache .pytest_cache
