# Everything that is done with the project, on a machine with Python, make and a package index.
# Indexes, proxies and certificates are those that pip and uv find in the environment and in their own settings.

# The interpreter of .venv: the first of these names that is Python 3.11, 3.12 or 3.13.
PYTHON ?= python3 python3.13 python3.12 python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed
# Where test-dashboard puts its screenshots.
SCREENSHOTS ?= .idxflow/screenshots
# The folder with the four .gz files of MNIST, for the benchmarks.
MNIST ?= ../shared/mnist

# With bytecode the import of TensorFlow takes 3 s instead of 8.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-all test-postgres test-dashboard bench bench-scale bench-sweep bench-remote bench-year bench-check lint format install lock schema clean

help:  ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

run: $(INSTALLED)  ## Run the pipeline: make run ARGS="--dataset digits"
	@$(BIN)/idxflow run $(ARGS)

test: lint  ## Run every check: format, lint, types, import contract, tests.
	$(BIN)/pytest $(ARGS)
	@echo "Not run: the tests marked slow (kills, workers, databases, MNIST three times). make test-all runs them."

test-all: lint  ## Run every check, and the slow tests too.
	$(BIN)/pytest -m "" $(ARGS)

test-postgres: $(INSTALLED)  ## Install PostgreSQL (Debian, as root), and test the set-ups for a team with it.
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && command -v cc ip >/dev/null || \
	  (apt-get update && apt-get install -y --no-install-recommends postgresql gcc libc6-dev iproute2)
	$(BIN)/pytest -m "" tests/deployments/test_postgres.py tests/deployments/test_machines.py $(ARGS)

test-dashboard: $(INSTALLED)  ## Install Chromium (Debian, as root), test the dashboard with it, keep SCREENSHOTS.
	command -v chromium >/dev/null || (apt-get update && apt-get install -y --no-install-recommends chromium)
	IDXFLOW_SCREENSHOTS="$(SCREENSHOTS)" $(BIN)/pytest -m "" tests/dashboard $(ARGS)
	@echo "What the browser saw: $(SCREENSHOTS)"

bench: $(INSTALLED)  ## Compare idxflow with the plain tutorial: make bench MNIST=DIR ARGS="--only fit"
	$(BIN)/python -m benchmarks speed --mnist "$(MNIST)" $(ARGS)

bench-scale: $(INSTALLED)  ## Measure the growth to 100 times MNIST; needs 10 GB below .idxflow/benchmarks.
	$(BIN)/python -m benchmarks scale --mnist "$(MNIST)" $(ARGS)

bench-sweep: $(INSTALLED)  ## Compare a sweep with Optuna around plain fit, half an hour: make bench-sweep MNIST=DIR
	$(BIN)/python -m benchmarks sweep --mnist "$(MNIST)" $(ARGS)

bench-remote: $(INSTALLED)  ## Push and pull 2 GB and 10,000 small artifacts beside obstore's own calls, a quarter of an hour.
	$(BIN)/python -m benchmarks remote $(ARGS)

bench-year: $(INSTALLED)  ## Measure 365 nightly runs over a set that grows by a shard a night, half an hour.
	$(BIN)/python -m benchmarks year $(ARGS)

bench-check: $(INSTALLED)  ## Hold the quick ratios against those of an earlier commit, three minutes.
	$(BIN)/python -m benchmarks check --mnist "$(MNIST)" $(ARGS)

lint: $(INSTALLED)  ## Run the checks that only read the code; the pre-commit hook is this.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)  ## Format the code, and correct what ruff can correct.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

install: $(INSTALLED)  ## Create .venv, and install what requirements.lock names, and the project.

# uv comes from the lock as well, hash and all; once it is there, it keeps itself at the lock's version.
$(BIN)/uv:
	@for python in $(PYTHON); do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
	    echo "$$python -m venv .venv" && "$$python" -m venv --clear .venv && exit; exit 1; fi; \
	done; \
	echo "PYTHON: expected Python 3.11, 3.12 or 3.13, found none as: $(PYTHON). Name one: make PYTHON=/path/to/it" >&2; \
	exit 1
	sed -n '/^uv==/,/# via/p' requirements.lock > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --require-hashes --requirement .venv/uv.lock

$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

lock: | $(BIN)/uv  ## Rebuild requirements.lock, with the newest versions that pyproject.toml allows.
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

schema: $(INSTALLED)  ## Write down what the migrations of the lock's Prefect come to; after make lock has changed it.
	$(BIN)/python -m tests.idxflow.migrating

clean:  ## Delete .venv and the tools' caches; artifacts and runs in .idxflow stay.
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.idxflow/*' -prune -exec rm -rf {} +
