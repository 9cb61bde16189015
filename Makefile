# What can be done here. `make help` lists it; every target first sees to what it needs.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

ROOMS := $(wildcard xenlaunch scheduler tasks workers simulator tests bench)
COMPOSE_FILES := $(wildcard compose/*.yaml)
VERSIONS := 3.11 3.12 3.13

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)

RUN := .venv/bin/python
DEV := .venv-dev/bin/python

# Most tests wait more than they reckon. More than a few at once and each waits for the others.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist worksteal

# pip, not uv: it heeds the mirrors and certificates that a machine is set up for.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

.PHONY: demo
demo: .venv/installed ## install, launch a batch of 50 VMs on a simulated pool, show it live, leave nothing running
	@$(RUN) -m workers.local demo $(DEMO_ARGS)

.PHONY: up
up: .venv/installed ## the same stack with Flower, kept running until Ctrl-C
	@$(RUN) -m workers.local up $(UP_ARGS)

.PHONY: test
test: .venv-dev/installed ## the suite that needs only Python wheels; FULL=1 leaves nothing out; PYTEST_ARGS=…
	@FULL=$(FULL) $(DEV) -m pytest $(SIDE_BY_SIDE) $(PYTEST_ARGS)

.PHONY: check
check: .venv-dev/installed ## format, lint, types, contracts, compose files, docs
	@$(DEV) -m ruff format --check .
	@$(DEV) -m ruff check .
	@$(DEV) -m mypy $(ROOMS) compose
	@.venv-dev/bin/lint-imports --no-logo
	@.venv-dev/bin/check-jsonschema -q --builtin-schema vendor.compose-spec $(COMPOSE_FILES)
	@for file in $(COMPOSE_FILES); do .venv-dev/bin/docker-compose -f $$file --profile '*' config -q; done
	@$(DEV) -m pytest -q tests/house/test_docs.py $(wildcard tests/docs)

.PHONY: docs
docs: .venv-dev/installed ## write what the docs say of the code anew; make check fails where it is stale
	@$(DEV) -m tools.make_docs

.PHONY: test-all
test-all: .python ## the suite on every Python 3.11 to 3.13 that is found here
	@tested=; for version in $(VERSIONS); do \
		python=$$(tools/find-python $$version) || continue; \
		tested="$$tested $$version"; echo "== Python $$version"; \
		$(MAKE) .venv-$$version/installed PYTHON="$$python" || exit; \
		FULL=$(FULL) .venv-$$version/bin/python -m pytest $(SIDE_BY_SIDE) $(PYTEST_ARGS) || exit; \
	done; echo "tested on Python:$$tested (of $(VERSIONS))"; test -n "$$tested"

.PHONY: bench
bench: .venv-dev/installed ## measure
	@test -d bench || { echo "there is no bench yet" >&2; exit 1; }
	@$(DEV) -m bench $(BENCH_ARGS)

.PHONY: storm
storm: .venv-dev/installed ## the long test: everything is killed again and again, and nothing is wrong after it
	@$(DEV) -m tests.storm $(STORM_ARGS)

.PHONY: pictures
pictures: .venv-dev/installed ## take the pictures of docs/img anew, with the Chromium of the system
	@$(DEV) -m tests.pictures

.PHONY: peers
peers: .venv-peers/installed .venv-dev/installed ## clients written by others (the official SDK, Ansible) on the simulator
	@.venv-peers/bin/python -m pytest --confcutdir=tests/peers tests/peers $(PYTEST_ARGS)

.PHONY: conformance
conformance: .reference .venv-dev/installed ## hold simulator and client against XAPI's datamodel: REFERENCE=path
	@XENLAUNCH_REFERENCE="$(abspath $(REFERENCE))" $(DEV) -m pytest tests/contract $(PYTEST_ARGS)

.PHONY: .reference
.reference:
	@test -n "$(REFERENCE)" || { echo "say where the reference is: make conformance REFERENCE=path" >&2; exit 1; }
	@test -d "$(REFERENCE)" || { echo "there is no reference at $(REFERENCE)" >&2; exit 1; }
	@for part in xapi-datamodel.json records wire; do test -e "$(REFERENCE)/$$part" || \
		{ echo "the reference at $(REFERENCE) lacks $$part" >&2; exit 1; }; done

.PHONY: lock
lock: .venv-dev/installed ## write the locks anew from pyproject.toml and requirements/*.in; LOCK_ARGS=--upgrade
	@tools/lock .venv-dev/bin/uv $(LOCK_ARGS)

.PHONY: clean
clean: ## remove what make made
	@rm -rf .venv .venv-* .xenlaunch dist build
	@rm -rf .mypy_cache .ruff_cache tests/.ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find $(ROOMS) -name __pycache__ -type d -prune -exec rm -rf {} +

# Python and its venv module first of all: a half-made environment is worse than a sentence.
.PHONY: .python
.python:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(NEW_ENOUGH)' || { \
		echo "Python 3.11 or newer is needed: sudo apt-get install python3 python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is missing: sudo apt-get install python3-venv" >&2; exit 1; }

# An environment is made when its lock is newer. The project itself goes in from the checkout, by
# the build back end of the lock.
.venv/installed: requirements/run.txt
.venv-dev/installed $(VERSIONS:%=.venv-%/installed): requirements/dev.txt

# The peers have an environment of their own, without the project: half a gigabyte, for Ansible.
.venv-peers/installed: requirements/peers.txt | .python
	@echo "installing into $(@D)"
	@"$(PYTHON)" -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

%/installed: pyproject.toml | .python
	@echo "installing into $(@D)"
	@"$(PYTHON)" -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --require-hashes -r $(filter requirements/%,$^)
	@$(@D)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@
