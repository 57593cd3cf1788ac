# make demo            set up and run the Fashion-MNIST pipeline on this machine
# make test            set up and run every check and test
# make coverage        how much of the pure rooms their own tests run; red below tests/house/coverage_floors.txt
# make ratios          no ratio to a peer has fallen by more than a quarter (benchmarks/guard.py)
# make test LOCKED=1   the same with the versions of requirements-dev.lock, those that the project was last tested with
# make docs            the site of docs/ as build/site, with the reference of all that is public
# make lock            write requirements-dev.lock anew, with the newest versions that pyproject.toml allows
# make test WORKERS=1   one test after the other, as pytest does by itself
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-
LOCK := requirements-dev.lock
# as many processes as there are cores; the tests of a file in one of them, as they share what is made once
WORKERS ?= auto

# Installed with the lock file or without it: each way has stamps of its own.
KIND := $(if $(LOCKED),-locked)
INSTALL = $(BIN)/python -m pip install --quiet --retries 5 $(if $(LOCKED),--constraint $(LOCK)) --editable

.PHONY: demo test check coverage ratios cluster-test docs bench lock clean

demo: $(STAMP)train$(KIND)
	$(BIN)/tiphys run pipelines/fashion_mnist.py $(ARGS)

test: check
	$(BIN)/python -m pytest -m 'not cluster' --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# needs root and the throw-away cluster: see docs/cluster.md
cluster-test: $(STAMP)dev$(KIND)
	$(BIN)/python -m pytest -m cluster --timeout 1200 tests/cluster $(ARGS)

check: $(STAMP)dev$(KIND)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_house.py

PURE := tests/argo tests/expr tests/lint tests/engine/machine tests/conformance/test_own.py
# The tests of the pure rooms, and the recorded cases that the machine is driven through without a process.
coverage: $(STAMP)dev$(KIND)
	$(BIN)/python -m pytest -q --numprocesses $(WORKERS) --dist worksteal --cov --cov-report= $(PURE) $(ARGS)
	$(BIN)/python scripts/coverage_floors.py

ratios: $(STAMP)dev$(KIND)
	$(BIN)/python benchmarks/guard.py

# every warning is an error; that each block of the pages runs is seen by tests/test_docs.py
docs: $(STAMP)dev$(KIND)
	$(BIN)/python -m sphinx --builder html --fail-on-warning --quiet docs build/site
	@echo 'build/site/index.html'

bench: $(STAMP)dev$(KIND)
	for table in benchmarks/*.py; do $(BIN)/python $$table || exit 1; done

# Without hashes and the address of an index: it names versions, for every platform, and an index is the user's choice.
lock: | $(STAMP)venv
	$(BIN)/python -m pip install --quiet --retries 5 uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --no-annotate --no-emit-index-url --python-version 3.11 \
	  --extra train --extra serve --extra service --extra cluster --extra server --group dev --custom-compile-command 'make lock' pyproject.toml \
	  --output-file $(LOCK)

# A stamp is older than pyproject.toml when the dependencies may have changed. pip is given several tries: an
# interrupted installation is simply taken up again by the next make.
$(STAMP)venv:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(STAMP)train$(KIND): pyproject.toml $(if $(LOCKED),$(LOCK)) | $(STAMP)venv
	@echo 'Installing TensorFlow and the rest into $(VENV): once, some minutes.'
	$(INSTALL) '.[train]'
	touch $@

$(STAMP)dev$(KIND): pyproject.toml $(if $(LOCKED),$(LOCK)) | $(STAMP)train$(KIND)
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['dev'], sep='\\n')" > $(STAMP)group
	$(INSTALL) '.[train,serve,service,cluster,server]' --requirement $(STAMP)group
	touch $@

clean:
	rm -rf $(VENV) .tiphys .pytest_cache .mypy_cache .ruff_cache
