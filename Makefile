# One vocabulary for people, hooks and CI. Every target brings its own tools: python3 and pip are enough.

.DEFAULT_GOAL := help
.PHONY: help env forecast test test-slow check bench

# A shim of a version manager may be called uv and not work, hence the trial.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .cache/uv/bin/uv)
PYTHON := .venv/bin/python

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

env: $(filter .cache/%,$(UV)) ## Create or update .venv from uv.lock
	@UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --locked --quiet

.cache/uv/bin/uv:
	PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --target .cache/uv uv

forecast: env ## Forecast and plan the embedded demo company (configs/q3.yaml)
	$(PYTHON) -m engine.forecast configs/q3.yaml

test: env ## Run the tests that take minutes
	$(PYTHON) -m pytest -q -n 2 --dist loadfile -m "not slow"

test-slow: env ## Run the tests that take longer
	$(PYTHON) -m pytest -q -m slow

check: env ## Lint, formatting and types
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

bench: env ## Time and memory of the main job, cold and warm
	$(PYTHON) -m benchmarks.end_to_end
