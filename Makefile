# Two commands do everything on a fresh machine (Linux x86_64, Python 3.11 with venv, git, make): `make demo`, `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3.11
VENV ?= .venv
ARGS ?=
BIN := $(VENV)/bin
PY := $(BIN)/python
export PATH := $(abspath $(BIN)):$(PATH)
export SOLCX_BINARY_PATH := $(abspath tools)
# Nothing may depend on, or be left in, the caller's home folder.
export APE_DATA_FOLDER ?= $(abspath .build/ape)

RUN_STAMP := $(VENV)/.installed-run
TEST_STAMP := $(VENV)/.installed-test
PROVE_VENV ?= .venv-prove
PROVE_STAMP := $(PROVE_VENV)/.installed

.PHONY: help demo test install install-test check bench gas prove soak screenshot lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(RUN_STAMP) ## what a running network needs, into .venv (no compiler, no Ape)

install-test: $(TEST_STAMP) ## what tests, checks and the compiler need, into .venv

demo: $(RUN_STAMP) ## the network on real purchases, in a browser; Ctrl-C stops it, the next start goes on (ARGS="--help" for options)
	@$(BIN)/banyan demo $(ARGS)

test: $(TEST_STAMP) ## the default suite (under 6 minutes on 2 cores)
	@tools/run-tests $(ARGS)

check: $(TEST_STAMP) ## style, types, layering, and that ABIs and gas figures are those of the sources
	@tools/run-checks

gas: $(TEST_STAMP) ## measures gas beside OpenZeppelin and Solady, writes benchmarks/gas.json
	@$(PY) benchmarks/gas.py $(ARGS)

bench: $(TEST_STAMP) ## all benchmarks, or one family: make bench ONLY=gateway (or mirror, audit, webhooks); writes benchmarks/results.json
	@$(PY) benchmarks/run.py $(if $(ONLY),--only $(ONLY)) $(ARGS)

prove: $(TEST_STAMP) $(PROVE_STAMP) ## proofs of the contracts: slither, halmos, forge invariants (ARGS="--only PART" or --long)
	@PROVE_BIN=$(abspath $(PROVE_VENV))/bin tools/run-proofs $(ARGS)

soak: $(TEST_STAMP) ## the slow, seeded runs: faults, long invariants (SEED=n repeats one, ARGS="tests/faults -k load" takes a part)
	@$(PY) -m pytest -m soak $(if $(SEED),--soak-seed $(SEED)) $(ARGS)

screenshot: $(TEST_STAMP) ## docs/screenshot.png from the running demo (needs Chromium)
	@$(PY) tools/screenshot.py http://127.0.0.1:8000/ docs/screenshot.png

lock: ## writes the hashed requirement files and package-lock.json anew from their inputs
	@tools/lock

clean: ## removes build products; never .venv and never data
	@rm -rf .build out cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

$(RUN_STAMP): requirements/build.txt requirements/run.txt requirements/demo.txt package-lock.json pyproject.toml
	@PYTHON=$(PYTHON) VENV=$(VENV) tools/install run

$(TEST_STAMP): requirements/build.txt requirements/test.txt requirements/demo.txt package-lock.json pyproject.toml
	@PYTHON=$(PYTHON) VENV=$(VENV) tools/install test

$(PROVE_STAMP): requirements/prove.txt
	@$(PYTHON) -m venv $(PROVE_VENV)
	@$(PROVE_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/prove.txt
	@touch $@
