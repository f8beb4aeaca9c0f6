# make demo   install what is needed and run the main job: bars -> features -> an honest answer, as one page
# make test   install what is needed and run all checks: lint, types, room contract, secrets, licences, tests
# make soak CHECK=name   the long checks, resumable; results in benchmarks/results
# make versions   the lock of feature declarations, after a Dataset.version was raised
# make dist   the wheel
# A fresh machine needs Python 3.11-3.13, make and a C compiler.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-out
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test soak dist lock lint types contract secrets licences docs versions clean
help:
	@sed -n 's/^# //p' Makefile

# Installed from hashed locks: with uv when it can be had (faster), else with pip alone.
define install
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"bqx needs Python 3.11-3.13, this is {v[0]}.{v[1]}; try make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing requirements/$(1).lock into $(VENV)"
	@$(BIN)/pip install -q --require-hashes -r requirements/uv.lock && $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/$(1).lock \
		|| $(BIN)/pip install -q --require-hashes -r requirements/$(1).lock
	@$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@
endef

$(VENV)/runtime.stamp: requirements/runtime.lock requirements/uv.lock pyproject.toml
	$(call install,runtime)
	@echo "compiling kernels into the user's cache (once a version, two minutes or so)"
	@$(BIN)/python -m bqx.features.warm

$(VENV)/dev.stamp: requirements/dev.lock requirements/uv.lock pyproject.toml
	$(call install,dev)
	@touch $(VENV)/runtime.stamp

demo: $(VENV)/runtime.stamp
	$(BIN)/bqx demo --out $(OUT) $(if $(BARS),--bars $(BARS))

test: lint types contract secrets licences
	@sh scripts/chromium.sh || echo "the console's tests will be skipped: no Chromium" >&2
	@echo "compiling kernels into the user's cache (once a version)"
	@$(BIN)/python -m bqx.features.warm --live
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/ruff format --check -q src tests benchmarks scripts
	$(BIN)/python scripts/docs.py --check

types: $(VENV)/dev.stamp
	$(BIN)/mypy

contract: $(VENV)/dev.stamp
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

secrets: $(VENV)/dev.stamp
	$(BIN)/bqx secrets scan

licences: $(VENV)/dev.stamp
	$(BIN)/python scripts/licences.py

soak: $(VENV)/dev.stamp
	@test -n "$(CHECK)" || { echo "which? make soak CHECK=name, one of:"; $(BIN)/python -m benchmarks.soak --list; exit 2; }
	$(BIN)/python -m benchmarks.soak $(CHECK)

docs: $(VENV)/dev.stamp
	$(BIN)/python scripts/docs.py

versions: $(VENV)/dev.stamp
	$(BIN)/python -m bqx.features.versions --write

dist: $(VENV)/dev.stamp
	$(BIN)/python -m build --no-isolation --wheel --outdir dist .

lock: $(VENV)/dev.stamp
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --group uv -o requirements/uv.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --extra aws --extra keyring --extra postgres --extra airtable --extra research --extra serve --extra cluster --group build pyproject.toml -o requirements/runtime.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --extra aws --extra keyring --extra postgres --extra airtable --extra research --extra serve --extra cluster --group build --group dev pyproject.toml -o requirements/dev.lock

clean:
	rm -rf dist demo-out .pytest_cache .mypy_cache .ruff_cache
