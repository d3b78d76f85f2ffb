# The whole routine: `make tune`, `make test`, `make test-long`, `make lint`, `make format`, `make type`, `make docs`.
# Each target first sets up .venv if it is missing or older than the requirements. `make unity`, `make mujoco`,
# `make procgen` and `make memory-gym` add the packages of these environments, `make log` those of `--log`,
# `make ray` Ray.
# The versions are those in requirements.lock, which `make lock` renews; `make test-newest` tests the newest
# ones that the requirements allow.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
NEWEST := .venv-newest
# uv has its own environment, so that the lock can be renewed even if its packages can't be installed.
UV := .venv-lock/bin/uv

INSTALL := -m pip install --quiet --disable-pip-version-check
LOCKED := $(INSTALL) --constraint requirements.lock
NO_FAST := echo "EnvPool or Numba can't be installed here; everything works without them, only slower"

# An error line if $(PYTHON) has an unsupported version, else empty. Old Pythons must be able to parse it.
RANGE := install Python 3.10 to 3.14, or name one: make $(MAKECMDGOALS) PYTHON=python3.12
UNFIT = $(shell $(PYTHON) -c 'import sys; found = sys.version_info[:2]; \
	fault = "old" if found < (3, 10) else "new" if found > (3, 14) else ""; \
	print("Python %d.%d is too %s; $(RANGE)" % (found + (fault,)) if fault else "")' 2>/dev/null \
	|| echo "$(PYTHON) can't be run; $(RANGE)")

# Without cached bytecode, each command would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: tune test test-long slurm-test test-chaos test-soak test-newest lint format type docs pictures film example check unity mujoco procgen log ray memory-gym lock
.DELETE_ON_ERROR:

tune: $(VENV)/ready
	$(RUN) tune.py --config=./configs/cartpole.yaml --tune=./configs/tune/quickstart.yaml \
		--num-repetitions=2 --out=./quickstart/

# Some tests wait, so a process more than cores is fastest. Tests of the commands take longest and start first.
test: $(VENV)/ready-dev
	$(RUN) -m pytest -n 3 --dist loadscope --no-loadscope-reorder -m "not long"

# The tests that `make test` skips: longer trainings.
test-long: $(VENV)/ready-dev
	$(RUN) -m pytest -n 2 -m long

# They share the one Slurm that they start.
slurm-test: $(VENV)/ready-dev
	$(RUN) -m pytest tests/e2e/test_slurm.py

test-chaos: $(VENV)/ready-dev
	CHAOS_KILLS=30 $(RUN) -m pytest tests/e2e/test_surviving.py

test-soak: $(VENV)/ready-dev
	SOAK_RUNS=500 $(RUN) -m pytest tests/e2e/test_soak.py

# On a Ray cluster of some nodes on this machine.
.PHONY: ray-test
ray-test: ray $(VENV)/ready-dev
	$(RUN) -m pytest -n 0 tests/e2e/test_ray.py

test-newest: $(NEWEST)/bin/python
	$(NEWEST)/bin/python $(INSTALL) --upgrade --upgrade-strategy eager \
		-r requirements-dev.txt -r requirements-fast.txt
	$(NEWEST)/bin/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder

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
	$(RUN) docs/write_completions.py

pictures: $(VENV)/ready
	$(RUN) -m docs.draw_environments

# Records the film of the README from a real run, which takes a minute.
film: $(VENV)/ready-dev
	$(RUN) -m docs.record_film

# Draws what people see of the sweeps in docs/sweeps/, which takes some minutes.
.PHONY: sweep-pictures
sweep-pictures: $(VENV)/ready-dev
	$(RUN) -m docs.draw_sweeps

check: lint type test

# Trains the sweep in docs/example/. It takes some minutes.
example: $(VENV)/ready
	$(RUN) tune.py --num-repetitions=5 --out=./example/
	$(RUN) report.py --out=./example/ --page --plots=docs/example/ --to=docs/example/answer.txt
	$(RUN) report.py --out=./example/ --format=markdown --to=docs/example/table.md \
		--suggest=docs/example/next.yaml
	cp example/default.html docs/example/page.html

unity: $(VENV)/ready-unity

mujoco: $(VENV)/ready-mujoco

procgen: $(VENV)/ready-procgen

log: $(VENV)/ready-log

ray: $(VENV)/ready-ray

memory-gym: $(VENV)/ready
	$(RUN) $(INSTALL) --no-deps memory-gym==1.0.2

lock: $(UV)
	$(UV) pip compile --quiet --universal --upgrade --python-version 3.10 --no-python-downloads \
		--no-annotate --custom-compile-command "make lock" --output-file requirements.lock \
		requirements-dev.txt requirements-fast.txt requirements-mujoco.txt requirements-procgen.txt \
		requirements-log.txt requirements-ray.txt

$(VENV)/bin/python $(NEWEST)/bin/python .venv-lock/bin/python:
	$(if $(UNFIT),$(error $(UNFIT)))
	$(PYTHON) -m venv $(@:/bin/python=)

$(VENV)/ready: requirements.txt requirements-fast.txt requirements.lock | $(VENV)/bin/python
	$(RUN) $(LOCKED) -r requirements.txt
	$(RUN) $(LOCKED) -r requirements-fast.txt || $(NO_FAST)
	$(RUN) -m ppo.by_numba
	touch $@

$(VENV)/ready-unity $(VENV)/ready-mujoco $(VENV)/ready-procgen $(VENV)/ready-log $(VENV)/ready-ray: $(VENV)/ready-%: requirements-%.txt $(VENV)/ready
	$(RUN) $(LOCKED) -r $<
	touch $@

$(VENV)/ready-dev: requirements-dev.txt requirements-unity.txt $(VENV)/ready
	$(RUN) $(LOCKED) -r requirements-dev.txt
	touch $@

$(UV): | .venv-lock/bin/python
	.venv-lock/bin/python $(INSTALL) "uv>=0.10,<1"
