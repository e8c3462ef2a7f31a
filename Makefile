# Everything a person types while working here. `make` alone lists it.
# Needs Python 3.11 or newer, make and a package index; all else comes from the lock files.

PYTHON  ?= python3
VENV    ?= .venv
# One more than processors: some tests wait for a clock.
WORKERS ?= 3
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq install
PYTEST  := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
LOCK    := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
           --custom-compile-command "make lock" pyproject.toml

# Where compiled modules are forbidden, every start of the program compiles it anew; the tests start it hundreds of times.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test soak check lint types layers bench pictures docs wheel lock clean

help: ## print this list
	@echo 'Two commands to begin with: `make demo` and `make test`. All of them:'
	@awk -F ' *## *' '/^[a-z]+:.*##/ { sub(/:.*/, "", $$1); printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'Variables: PYTHON (now $(PYTHON)), VENV, WORKERS, ARGS (for test, soak and bench), UPGRADE (for lock).'

demo: $(VENV)/.runtime ## the whole way, from sample feeds to caught e-mail, in the folder demo/
	@$(BIN)/newsletter demo demo

test: $(VENV)/.dev ## all tests; ARGS="tests/feeds -x" for some of them
	$(PYTEST) -m "not soak" $(ARGS)

soak: $(VENV)/.dev ## the long tests
	$(PYTEST) -m soak $(ARGS)

check: lint types layers ## lint, types and layers

lint: $(VENV)/.dev ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy --strict

layers: $(VENV)/.dev ## who may import whom
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## how fast a send is, beside the standard library
	@$(BIN)/python -m benchmarks.send $(ARGS)

pictures: $(VENV)/.dev ## the reference pictures of the letter, into docs/pictures/; needs chromium
	@$(BIN)/python -m tests.proof.pictures

docs: $(VENV)/.docs ## the made pages and the man page anew, and the site into build/docs/
	@$(BIN)/python -m docs.making
	@$(BIN)/python -m sphinx --fail-on-warning --quiet -b html docs build/docs
	@echo 'built build/docs/index.html'

wheel: $(VENV)/.dev ## build the wheel and the sdist into dist/
	$(BIN)/python -m build --no-isolation --outdir dist .

lock: $(VENV)/.dev ## write the lock files anew; UPGRADE=--upgrade takes newer versions
	$(LOCK) --group build $(UPGRADE) --output-file requirements.lock
	$(LOCK) --extra notify --extra pictures --extra postgres --extra scale --group dev --constraint requirements.lock $(UPGRADE) --output-file requirements-dev.lock
	$(LOCK) --group build --group docs --constraint requirements-dev.lock $(UPGRADE) --output-file requirements-docs.lock

clean: ## remove the environment, demo/ and all that was built; never .newsletter/, which knows who got what
	rm -rf $(VENV) demo dist build .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find newsletter tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the environment: each file below stands for a step that is done, so a second run installs nothing

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'error: newsletter needs Python 3.11 or newer, and "$(PYTHON)" is:' "$$($(PYTHON) --version 2>&1)" >&2; \
	  echo 'hint: make PYTHON=python3.12 …, or wherever a newer one is' >&2; exit 1; }
	@test -x $(BIN)/python || { echo 'making $(VENV) with' "$$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@touch $@

$(VENV)/.runtime: $(VENV)/.made requirements.lock pyproject.toml
	@echo 'installing requirements.lock into $(VENV), every hash checked: about a minute, this once'
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# The development lock holds all of the other one at the same versions: what it installs serves both.
$(VENV)/.dev: $(VENV)/.made requirements-dev.lock pyproject.toml
	@echo 'installing requirements-dev.lock into $(VENV), every hash checked: about a minute, this once'
	@$(PIP) --require-hashes -r requirements-dev.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.runtime $@

# So does this one, for what it has of the others.
$(VENV)/.docs: $(VENV)/.made requirements-docs.lock pyproject.toml
	@echo 'installing requirements-docs.lock into $(VENV), every hash checked: about a minute, this once'
	@$(PIP) --require-hashes -r requirements-docs.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@
