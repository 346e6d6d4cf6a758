# The two commands of the README: `make lipsync` and `make test`. Each makes the environment first if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help install lipsync test slow timed faults bench lint clean

help:            ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## */\t/' | expand -t 12

install: $(VENV)/.installed  ## make .venv with everything in it

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

lipsync: install ## redraw the mouth of the sample: lipsync.mp4
	$(BIN)/graphrun pipelines/lipsync.yaml

test: install    ## the tests of every change
	$(BIN)/python -m pytest -m 'not faults and not slow and not timed'

slow: install    ## the tests that take their time
	$(BIN)/python -m pytest -m 'slow and not faults and not timed' --timeout 900

timed: install   ## the tests that judge times, for a machine that does nothing else
	$(BIN)/python -m pytest -m timed --timeout 900

faults: install  ## kill, starve and flood it; thousands of random graphs
	GRAPHRUN_EXAMPLES=2000 $(BIN)/python -m pytest -q tests/graph/test_scheduler.py --timeout 600
	$(BIN)/python -m pytest -m 'faults and not timed' --timeout 600

lint: install    ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

BENCHES := transport slow_sink control overlap start transcode lipsync instrumentation tuned
bench: install   ## the engine against what one would use instead, and against its own promises; 20 minutes
	for one in $(BENCHES); do echo "== $$one"; $(BIN)/python tools/bench/$$one.py || exit 1; done

clean:           ## remove what make and tests made
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
