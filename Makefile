# Everything a newcomer types. `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
python := .venv/bin/python

# What is passed on: make demo BAG=my_bag TOPIC=/points, make test PYTEST_ARGS='-k codec -x'
BAG ?=
TOPIC ?=
DEMO_ARGS ?=
PYTEST_ARGS ?=
# Processes that share the tests, a file at a time.
WORKERS ?= 2

.PHONY: help env demo test test-pythons lint format docs clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: ## create or update .venv (fast when up to date; PYTHON=... chooses the interpreter)
	@tools/make_env.sh

demo: env ## play a bag through the live node and write demo_output/report.html (BAG=... TOPIC=...; default: a simulated yard with people)
	@.venv/bin/pointata demo $(if $(BAG),--bag '$(BAG)') $(if $(TOPIC),--topic '$(TOPIC)') $(DEMO_ARGS)

test: env ## run the whole test suite (PYTEST_ARGS=...)
	@$(python) -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

test-pythons: ## run what needs no torch under Python 3.10 to 3.13, as far as they are installed
	@python3 tools/test_pythons.py

lint: env ## check style, types and spelling
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@git ls-files -z '*.py' '*.md' '*.rst' '*.xml' '*.yaml' | xargs -0 .venv/bin/codespell

format: env ## format the sources
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format .

docs: env ## build the documentation into site/; a warning is an error
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet

clean: ## remove what was built or written, keep .venv
	rm -rf build install log site demo_output evaluation_output *.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv as well
	rm -rf .venv .venv-*
