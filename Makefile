# What people and CI run. Each target is a few lines that can be typed by hand.

PYTHON ?= python3
BIN := .venv/bin

# Tests and benchmarks start hundreds of processes: what they import is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo install check test test-long bench docs clean

demo: .venv/demo  ## two small models and a judge, on this machine, with no key
	$(BIN)/bakeoff run --show-samples 0

install: .venv/dev  ## everything that a developer needs

check: .venv/dev  ## style, layers, types, and whether a dependency is known to be vulnerable
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/python scripts/audit_dependencies.py

test: .venv/dev  ## the suite
	$(BIN)/pytest -n 2 --dist loadgroup -m 'not long'

test-long: .venv/dev  ## everything, with all cases and more examples: soak, kills, fuzz; three quarters of an hour
	$(BIN)/pytest -n 2 --dist loadgroup --hypothesis-profile thorough

bench: .venv/dev  ## how fast, how good, against whom: a JSON line each
	for script in benchmarks/*.py; do $(BIN)/python $$script; done

docs: .venv/dev  ## what is generated: the schema of results.json, and the README's pictures of a real run
	$(BIN)/python scripts/make_schema.py
	$(BIN)/python scripts/make_pictures.py

clean:
	rm -rf .venv

.venv/demo: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check '.[embedded]'
	touch $@

.venv/dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
