# Every target sets up what it needs, on a machine with only make and Python 3.11, 3.12 or 3.13.
# Variables: PYTHON (the interpreter that .venv is made with; `make clean` first to change it),
# JOBS (tests at once), ARGS (passed on to the command).

SHELL = /bin/sh
.DEFAULT_GOAL = help
BIN = .venv/bin
JOBS = 2
ARGS =
# Without compiled bytecode every process of the demo and the tests imports about three times as long.
unexport PYTHONDONTWRITEBYTECODE

.NOTPARALLEL:
.PHONY: help demo demo-azurite ui test test-fast check format bench chaos graph pictures constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: .venv/.run ## raw data to a registered model and a scored month, here and now
	@$(BIN)/mlops demo $(ARGS)

demo-azurite: .venv/.azurite ## the same, its files landing in a storage account that Azurite emulates
	@$(BIN)/mlops demo --azurite dev $(ARGS)

ui: .venv/.run ## the Dagster UI on what the demo left
	@$(BIN)/mlops ui $(ARGS)

test: .venv/.dev ## all tests
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

test-fast: .venv/.dev ## the tests that take a moment each
	$(BIN)/python -m pytest -n $(JOBS) -m 'not slow' $(ARGS)

check: .venv/.dev ## lint, format, types, workflows, and the links and commands of the docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/check_docs.py
	$(BIN)/python scripts/language_page.py --check
	$(BIN)/actionlint .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github/workflows

format: .venv/.dev ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.dev ## every benchmark, with its peers, as ratios
	@for benchmark in benchmarks/bench_*.py; do \
	  echo "== $$benchmark"; \
	  PYTHONPATH=. $(BIN)/python "$$benchmark" $(ARGS) || exit 1; \
	done

chaos: .venv/.dev ## a thousand drops while everything that works on them is killed (a quarter of an hour)
	$(BIN)/python benchmarks/landing_chaos.py $(ARGS)

graph: .venv/.dev ## which room of the package imports which, from the ground up
	@$(BIN)/python scripts/import_graph.py

pictures: .venv/.dev ## the pictures of the docs, taken anew from what the demo left
	@$(BIN)/python -m scripts.pictures

constraints: .venv/.dev ## resolve constraints.txt anew, to the newest versions that fit pyproject.toml
	$(BIN)/python -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
	  --strip-extras --no-annotate --custom-compile-command 'make constraints' \
	  --output-file constraints.txt pyproject.toml

clean: ## stop what runs; remove .venv, .mlops and caches
	@if $(BIN)/mlops stop --help >/dev/null 2>&1; then $(BIN)/mlops stop; fi
	rm -rf .venv projects/*/.venv .mlops .mypy_cache .pytest_cache .ruff_cache mlruns
	find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# What the demo needs, and what checks and tests need beside it.
.venv/.run: pyproject.toml constraints.txt scripts/setup
	@scripts/setup flight-delays
	@touch $@

.venv/.azurite: pyproject.toml constraints.txt scripts/setup
	@scripts/setup flight-delays,azurite
	@touch .venv/.run $@

.venv/.dev: pyproject.toml constraints.txt scripts/setup
	@scripts/setup dev
	@touch .venv/.run .venv/.azurite $@
