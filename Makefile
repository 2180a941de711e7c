# Two commands on a fresh machine with Python >= 3.11, pip and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt
NEEDS := pyproject.toml constraints.txt

.PHONY: help demo serve test test-all mutate bench docs lint clean
.DELETE_ON_ERROR:

help:
	@echo "make demo      fit and evaluate on MovieLens-100K, print the leaderboard and one user's slate"
	@echo "make serve     serve the demo's bundle over HTTP"
	@echo "make test      all but the slow tests        make test-all   all of them"
	@echo "make mutate    plants faults in the code: would the tests notice?"
	@echo "make bench     side-by-side benchmarks       make lint       style and types"
	@echo "make docs      fill in the generated parts of README and docs/"
	@echo "make clean     remove the environment and caches; runs/ stays"

demo: $(VENV)/.serve
	@$(BIN)/shortlist fit recipes/movielens-100k.toml
	@echo "Serve it: make serve"

serve: $(VENV)/.serve runs/movielens-100k/bundle
	$(BIN)/shortlist serve runs/movielens-100k/bundle --clock log

runs/movielens-100k/bundle:
	$(MAKE) demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -m ""

mutate: $(VENV)/.mutate
	$(BIN)/python -m bench.mutate $(if $(ROOMS),--only $(ROOMS))

bench: $(VENV)/.bench
	$(BIN)/python -m bench

docs: $(VENV)/.dev
	$(BIN)/python docs/components.py
	$(BIN)/python docs/stubs.py
	$(BIN)/python bench/figures.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist .pytest_cache .hypothesis .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than what its environment was made from, so a second run installs nothing.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.serve: $(VENV)/.made $(NEEDS)
	@echo "Installing the core and serve into $(VENV) (once) ..."
	$(PIP) -e ".[serve]"
	@touch $@

$(VENV)/.dev: $(VENV)/.made $(NEEDS)
	@echo "Installing what the tests need into $(VENV) (once) ..."
	$(PIP) torch  # alone and first, so that the build for the processor, where one is at hand, is taken
	$(PIP) -e ".[serve,trees,deep,index,tune,dev]"
	@touch $@

$(VENV)/.mutate: $(VENV)/.dev $(NEEDS)
	$(PIP) -e ".[mutate]"
	@touch $@

$(VENV)/.bench: $(VENV)/.made $(NEEDS)
	@echo "Installing the peers to compare with into $(VENV) (once) ..."
	$(PIP) torch
	$(PIP) -e ".[serve,trees,deep,index,tune,bench]"
	@touch $@
