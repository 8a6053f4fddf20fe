# Every command of the repository. Set-up is .venv, made once by whatever Python >= 3.11 is there.
PYTHON ?= python3
PORT ?= 3000
BIN := .venv/bin

.PHONY: help setup run dev test pictures lint format bench torture soak integration rehearse release lock clean

help: ## Show this list.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/installed

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Ratchet needs Python 3.11 or newer. Name one: make run PYTHON=python3.12"; exit 2; }
	@echo "Making .venv from requirements.lock (about 90 seconds, 1 GB) ..."
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing. On Debian and Ubuntu: apt install python3-venv"; exit 2; }

.venv/locked: requirements.lock | .venv/bin/python
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/installed: pyproject.toml points/pyproject.toml .venv/locked
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e . -e points
	@touch $@

run: setup ## Replay the bundled recording through the real pipeline.
	@$(BIN)/ratchet replay

dev: setup ## Open the Dagster UI with that history and a simulated account (PORT=3000).
	@$(BIN)/ratchet dev --replay --port $(PORT)

# Tests that run whole stacks or whole replays come alone: beside others, two cores are too few for their deadlines.
ALONE := pipeline_tests/test_live.py pipeline_tests/test_ui.py pipeline_tests/test_replay.py \
  pipeline_tests/deploy/test_deployed.py pipeline_tests/test_rehearsal.py

test: setup ## Run the tests.
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ALONE:%=--ignore=%)
	@$(BIN)/python -m pytest $(ALONE)
	@cd points && ../$(BIN)/python -m pytest

pictures: setup ## Make the pictures of the docs again, of what `make run` replayed.
	@$(BIN)/python -m pipeline_tests.pictures

lint: setup ## Check style, types, import directions, dead code, dependencies, YAML and generated documents.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@cd points && ../$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/vulture
	@$(BIN)/deptry pipeline && cd points && ../$(BIN)/deptry src
	@$(BIN)/python docs/generate.py --check
	@$(BIN)/ratchet source check

format: setup ## Format the code and make the generated documents again.
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .
	@$(BIN)/python docs/generate.py

# Only the comparison in points/bench imports these. In .venv they would change the versions of Ratchet's own libraries.
build/peers/installed: points/bench/peers.lock | setup
	@echo "Installing the libraries that points is measured beside ..."
	@$(BIN)/python -m venv build/peers
	@build/peers/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r $< \
	  && touch $@ || echo "They cannot be installed here, and are left out."

bench: setup build/peers/installed ## Measure, each figure beside its floor or peer in the same run.
	@$(BIN)/python -m pipeline_tests.bench
	@cd points && PYTHONPATH=src ../build/peers/bin/python -m bench

torture: setup ## Kill captures, messages and writers of events with kill -9; bend every platform's replies.
	@$(BIN)/python -m pipeline_tests.torture
	@$(BIN)/python -m pipeline_tests.fuzzing
	@cd points && ../$(BIN)/python -m torture

soak: setup ## Let 20 sources run for a simulated week (an hour or more).
	@$(BIN)/python -m pipeline_tests.soak

# PREVIOUS=REF: the version to upgrade from, instead of the newest tag before the present commit.
FROM = $(if $(PREVIOUS),--previous "$(PREVIOUS)")

integration: setup ## Upgrade a real stack on loopback and roll it back, in the environment at hand (PREVIOUS=REF).
	@$(BIN)/python -m pipeline_tests.rehearsal --quick $(FROM)

rehearse: setup ## Rehearse a release: install, deploy, record, upgrade, roll back (PREVIOUS=REF).
	@$(BIN)/python -m pipeline_tests.rehearsal $(FROM)

release: setup ## Walk the checklist of a release, and tag it (VERSION=1.2.3).
	@test -n "$(VERSION)" || { echo "Name the version: make release VERSION=1.2.3"; exit 2; }
	@$(BIN)/python -m pipeline_tests.rehearsal.release "$(VERSION)" $(FROM)

COMPILE := $(CURDIR)/$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras --quiet

lock: setup ## Compile anew the locks: of everything, of what a deployed machine needs, of what points is compared with.
	@$(BIN)/python -m pip install --quiet uv
	@$(COMPILE) pyproject.toml --group dev --group postgres -o requirements.lock
	@$(COMPILE) pyproject.toml --group deploy --constraint requirements.lock -o deploy/requirements.lock
	@cd points && $(COMPILE) --group pyproject.toml:bench -o bench/peers.lock

clean: ## Remove what was installed and built; the data stays.
	@rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
