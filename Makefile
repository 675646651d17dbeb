# doppel: `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# A folder of wheels (a site without internet) or uv's own index for the CPU build of torch: cpu · cu130 · auto.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
TORCH_BACKEND ?= $(if $(UV_FIND_LINKS),,cpu)
UV_PIP := $(BIN)/uv pip install --python $(BIN)/python $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND))
REQUIREMENTS := deploy/requirements
STAMP := $(VENV)/.installed

.PHONY: help install lint test demo lock schema clean bench-conversations bench-dataset bench-gateway bench-inference bench-scraper bench-trainer bench-voices test-unit test-integration test-e2e test-compose

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

install: $(STAMP) ## make .venv with everything that is pinned

$(STAMP): $(REQUIREMENTS)/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "doppel needs Python 3.11 or newer; set PYTHON=python3.x."; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing (on Debian: apt install python3-venv)."; exit 1; }
	$(BIN)/python -m pip install -q -r $(REQUIREMENTS)/uv.txt
	$(UV_PIP) --no-deps --compile-bytecode -r $(REQUIREMENTS)/dev.txt
	$(UV_PIP) --no-deps -e .
	@touch $@

demo: ## bring everything up, train a persona and answer in that voice (ARGS=--once, ARGS=--json)
	@case "$$(uname -s)" in Linux) ;; *) echo "The inference engine needs Linux. Use Docker: docker compose up."; exit 1;; esac
	@$(MAKE) --no-print-directory install
	@$(BIN)/doppel demo $(ARGS)

test: install ## unit, integration and end-to-end tests on real servers (ARGS go to pytest)
	$(BIN)/python -m pytest $(ARGS)

test-unit: install ## the fast ones
	$(BIN)/python -m pytest tests/unit $(ARGS)

test-integration: install ## one service against real servers
	$(BIN)/python -m pytest tests/integration $(ARGS)

test-compose: install ## docker compose for real; needs a Docker engine
	$(BIN)/python -m pytest tests/compose $(ARGS)

test-e2e: install ## the story, through the playground
	$(BIN)/python -m pytest tests/e2e $(ARGS)

bench-conversations: install ## how well who answers whom is found, beside what people annotated
	$(BIN)/python -m bench.conversations $(ARGS)

bench-dataset: install ## which settings of a dataset train best (minutes of training each)
	$(BIN)/python -m bench.dataset_settings $(ARGS)

bench-gateway: install ## the door beside aiohttp and slack-bolt, memory, mention to answer (last line: JSON)
	$(BIN)/python -m bench.gateway $(ARGS)

bench-inference: install ## the bus beside the engine alone, adapters, two replicas (last line: JSON)
	$(BIN)/python -m bench.inference $(ARGS)

bench-scraper: install ## how fast a history is read, beside its bounds (last line: JSON)
	$(BIN)/python -m bench.scraper $(ARGS)

bench-trainer: install ## the recipe beside torchtune's stock one, to the same held-out loss (last line: JSON)
	$(BIN)/python -m bench.trainer $(ARGS)

bench-voices: install ## ten people's adapters on each other's words; an hour, goes on where it stopped (last line: JSON)
	$(BIN)/python -m bench.voice_matrix $(ARGS)

lint: install ## format, lint, import contracts, types, drift of generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright
	$(BIN)/python -m pytest --collect-only -qq > /dev/null || $(BIN)/python -m pytest --collect-only -qq
	$(BIN)/python -m docs.generate --check
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml deploy/compose*.yaml
	$(BIN)/hadolint deploy/images/*.Dockerfile

schema: install ## write proto/schema and docs/reference from the code
	$(BIN)/python -m docs.generate

lock: install ## resolve and pin the requirements of development and of each image
	$(BIN)/python deploy/requirements/lock.py

clean: ## delete what tests, demo and installation left here
	rm -rf .doppel tests/integration/foreign/javascript/node_modules $(VENV) .pytest_cache .ruff_cache .hypothesis build *.egg-info
