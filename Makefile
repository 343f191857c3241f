# The two commands of the README, `make app` and `make test`, and `make check` for while you work. Each
# sets up all it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
WORKERS ?= 2

.PHONY: help app tutorials test check docs lint browser bench clean

help: ## Show what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

app: $(VENV)/.installed ## Open the app on the default bundle
	$(BIN)/munkey app --port $(PORT) $(ARGS)

tutorials: $(VENV)/.tutorials ## Open the notebooks in the browser
	$(BIN)/jupyter lab $(ARGS) tutorials

test: lint browser ## Run linters, types and all tests, WORKERS at a time
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: lint ## The same without browser, app and slow tests, for while you work
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" $(ARGS) tests/core tests/test_layers.py

lint: $(VENV)/.tested
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

docs: $(VENV)/.documented ## Build the pages and the API reference, in build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict -f .mkdocs.yml

bench: $(VENV)/.installed ## Time deletion and prediction on this machine
	$(BIN)/munkey bench $(ARGS)

# A Chromium of the system's is used where there is one; else the system's package as root, else
# Playwright's own download.
browser: $(VENV)/.tested
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do \
	  command -v $$name >/dev/null && exit 0; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && { \
	    apt-get install -y -qq --no-install-recommends chromium-headless-shell || \
	    apt-get install -y -qq --no-install-recommends chromium; }; \
	else \
	  $(BIN)/python -m playwright install chromium; \
	fi

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name it with PYTHON=python3.12 make ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

$(VENV)/.documented: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

$(VENV)/.tutorials: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[tutorials]'
	@touch $@

clean: ## Remove the environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
