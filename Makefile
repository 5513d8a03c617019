# A fresh machine needs only Python 3.11+ and make.
PYTHON ?= python3
BIN = .venv/bin
# The tests start many processes, which would each compile all modules.
export PYTHONDONTWRITEBYTECODE =

.PHONY: run fresh unit test nightly lint bench chaos checks-matrix screenshots requirements build clean

run: .venv/run.stamp
	$(BIN)/python manage.py sandbox

# Delete the sandbox's data; FRESH=yes answers the question.
fresh: .venv/run.stamp
	$(BIN)/python manage.py fresh $(if $(filter yes,$(FRESH)),--yes)

unit: .venv/dev.stamp
	$(BIN)/python -m pytest -c tests/unit/pytest.ini --rootdir=. -n 2 --dist worksteal --hypothesis-profile=unit $(ARGS)

test: .venv/dev.stamp
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

nightly: .venv/dev.stamp
	$(BIN)/python -m tests.nightly $(ARGS)

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python tools/check_words.py
	$(BIN)/python tools/docs_forms.py
	$(BIN)/python tools/checks_page.py
	$(BIN)/python tools/faults_page.py
	$(BIN)/python tools/llms.py
	$(BIN)/python tools/inventory.py
	$(BIN)/python tools/nightly_tests.py --check
	$(BIN)/python tools/private_parts.py

bench: .venv/dev.stamp
	$(BIN)/python -m benchmarks $(ARGS)

# Faults in running processes, at full size: about half an hour.
chaos: .venv/dev.stamp
	$(BIN)/python -m tests.chaos $(ARGS)

# All checks of all broken handlers, which takes an hour; it goes on where it was interrupted.
checks-matrix: .venv/dev.stamp
	$(BIN)/python -m tests.checks.matrix $(ARGS)

screenshots: .venv/dev.stamp
	$(BIN)/python -m tests.screenshots $(ARGS)

requirements: .venv/dev.stamp
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --extra otel -c requirements.txt pyproject.toml \
		-o requirements-otel.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --extra mcp -c requirements-otel.txt pyproject.toml \
		-o requirements-mcp.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --extra dev --extra otel -c requirements-mcp.txt pyproject.toml \
		-o requirements-dev.txt

# Wheel and sdist of the server and of the plugin, in dist/, with the locked tools and without the network.
build: .venv/dev.stamp
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	cd pytest-connect-sim && $(abspath $(BIN))/python -m hatchling build -d ../dist

clean:
	rm -rf dist .venv .test-venvs .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

.venv/dev.stamp: requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@ .venv/run.stamp
