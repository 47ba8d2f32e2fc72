# The commands of developers and CI. Each target is a few lines that can be typed by hand.

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest -n 2 --dist loadgroup

# These benchmarks simulate verdicts or check a judge; the others measure speed.
VERDICT_BENCHMARKS := $(addprefix benchmarks/,adaptive_pairs.py demo_judge.py \
	false_verdicts.py interval_coverage.py stopping.py)
SPEED_BENCHMARKS := $(filter-out $(VERDICT_BENCHMARKS),$(sort $(wildcard benchmarks/*.py)))

# Tests and benchmarks start hundreds of processes, which load compiled modules faster.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo install check quick test test-long bench bench-verdicts docs clean

demo: .venv/demo  ## compare two small models with a local judge, without any API key
	$(BIN)/bakeoff run --show-samples 0

install: .venv/dev  ## install the package with all developer tools

check: .venv/dev  ## style, language, layers, types, and known vulnerabilities of dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/check_language.py
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/python scripts/audit_dependencies.py

quick: .venv/dev  ## unit tests with few examples: no processes, no sockets; about 30 seconds
	$(PYTEST) -m 'not long and not slow' --hypothesis-profile quick tests/unit

test: .venv/dev  ## unit and integration tests, and a part of the end-to-end tests; about six minutes
	$(PYTEST) -m 'not long'

test-long: .venv/dev  ## all tests with more examples: soak, kills, fuzz; about 45 minutes
	$(PYTEST) --hypothesis-profile thorough

bench: .venv/dev  ## speed against peers, a JSON line each; about twenty minutes
	for script in $(SPEED_BENCHMARKS); do $(BIN)/python $$script; done

bench-verdicts: .venv/dev  ## error rates and savings of simulated verdicts, and the demo judge
	for script in $(VERDICT_BENCHMARKS); do $(BIN)/python $$script; done

docs: .venv/dev  ## generate the schema of results.json and the README's pictures
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
