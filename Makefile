# One command each; CI calls the same ones. Bare `make` lists them.
SHELL := /bin/bash
PYTHON ?=
BIN := .venv/bin
.DEFAULT_GOAL := help
# Tests are collected in half the time when their compiled form is kept.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install up test long quick lint types format docs chaos chaos-long simulate mutants bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 18

install: $(BIN)/.installed ## install into .venv, from the lock file (uv where it is present, plain pip otherwise)

$(BIN)/.installed: pyproject.toml requirements.lock
	@set -euo pipefail; python="$(PYTHON)"; python="$${python:-$$(scripts/interpreter)}"; \
	echo "installing into .venv with $$python (PYTHON=... chooses another)" >&2; \
	if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python "$$python" .venv && \
	  uv pip install --quiet --python $(BIN)/python -r requirements.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-deps -e . ; \
	else \
	  rm -f .venv/bin/python* && "$$python" -m venv .venv && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e . ; \
	fi
	@touch $@

up: install ## start everything in one process: API, workers, scheduler, sandbox
	@exec $(BIN)/sendwright up $(ARGS)

test: install ## pass the tests
	@$(BIN)/python -m pytest -n 4 --dist worksteal -q -m "not campaign and not long"

long: install ## the tests of many real processes that take a minute or more each: faulty lines, SQS, a move, a rolling upgrade
	@$(BIN)/python -m pytest -q -p no:schemathesis -m long

quick: install ## the tests that need no real process, in under a minute
	@$(BIN)/python -m pytest -n 3 --dist worksteal -q -p no:schemathesis -m "not slow and not campaign and not long" --ignore tests/acceptance

lint: install ## ruff, mypy and the import contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: install ## let ruff write the code its way
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

docs: install ## write the generated pages anew: settings, states, glossary
	@$(BIN)/python scripts/docs.py

chaos: install ## crash-point matrix, random kill -9 and 10,000 cancels on real processes; prints lost, doubled, in doubt, recovery
	@$(BIN)/python -m bench.chaos

KILLS ?= 300
chaos-long: install ## KILLS=n kill -9 over PostgreSQL and a bus of its own; ARGS for SQS and other campaigns, which docs/chaos.md lists
	@$(BIN)/python -m bench.chaos_long $(if $(ARGS),$(ARGS),--kills $(KILLS))

SEEDS ?= 1000
simulate: install ## SEEDS=n seeds of the virtual-time simulator: the real engine, three processes, every kind of fault, invariants
	@$(BIN)/python -m simulation --seeds $(SEEDS) --jobs 2 $(ARGS)

mutants: install ## plant mistakes in the product; the simulator, or the tests named beside each, must find it
	@$(BIN)/python -m pytest -n 2 --dist worksteal -q -p no:schemathesis -m campaign

bench: install ## accept and end to end, CPU and rate, beside the pipelines a team would build instead
	@$(BIN)/python -m bench.run

clean: ## remove what install and the tests made
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
