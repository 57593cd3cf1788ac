# make demo   set up and run the Fashion-MNIST pipeline on this machine
# make test   set up and run every check and test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-

.PHONY: demo test check cluster-test bench clean

demo: $(STAMP)train
	$(BIN)/tiphys run pipelines/fashion_mnist.py $(ARGS)

test: check
	$(BIN)/python -m pytest -m 'not cluster' $(ARGS)

# needs root and the throw-away cluster: see docs/cluster.md
cluster-test: $(STAMP)dev
	$(BIN)/python -m pytest -m cluster tests/cluster $(ARGS)

check: $(STAMP)dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_house.py

bench: $(STAMP)dev
	for table in benchmarks/*.py; do $(BIN)/python $$table || exit 1; done

# A stamp is older than pyproject.toml when the dependencies may have changed. pip is given several tries: an
# interrupted installation is simply taken up again by the next make.
$(STAMP)venv:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(STAMP)train: pyproject.toml | $(STAMP)venv
	@echo 'Installing TensorFlow and the rest into $(VENV): once, some minutes.'
	$(BIN)/python -m pip install --quiet --retries 5 --editable '.[train]'
	touch $@

$(STAMP)dev: pyproject.toml | $(STAMP)train
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['dev'], sep='\\n')" > $(STAMP)group
	$(BIN)/python -m pip install --quiet --retries 5 --editable '.[train,serve,cluster]' --requirement $(STAMP)group
	touch $@

clean:
	rm -rf $(VENV) .tiphys .pytest_cache .mypy_cache .ruff_cache
