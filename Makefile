# The whole routine: `make tune`, `make test`, `make lint`, `make format`, `make type`, `make docs`.
# Each sets up .venv first where it is missing or older than the requirements; `make unity` does that
# for training with Unity players.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: tune test lint format type docs check unity

tune: $(VENV)/ready
	$(RUN) tune.py --config=./configs/cartpole.yaml --tune=./configs/tune/quickstart.yaml \
		--num-repetitions=2 --together=8 --jobs=0 --out=./quickstart/

test: $(VENV)/ready-dev
	$(RUN) -m pytest -n 2

lint: $(VENV)/ready-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/tach check

format: $(VENV)/ready-dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

type: $(VENV)/ready-dev
	$(VENV)/bin/mypy

docs: $(VENV)/ready-dev
	$(RUN) -m schema.reference
	$(RUN) docs/draw_wings.py

check: lint type test

unity: $(VENV)/ready-unity

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/ready: requirements.txt requirements-fast.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-fast.txt \
		|| echo "EnvPool can't be installed here; everything works without it, only slower"
	touch $@

$(VENV)/ready-unity: requirements-unity.txt $(VENV)/ready
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-unity.txt
	touch $@

$(VENV)/ready-dev: requirements-dev.txt requirements-unity.txt $(VENV)/ready
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
