# Needs Python 3.11 or newer, pip and make alone. `make` lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
SHELL := /bin/sh
# Without compiled modules each of the many processes that tests start would compile them all again.
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV PYTHONDONTWRITEBYTECODE
export PIP_USER := 0
export PIP_REQUIRE_VIRTUALENV := 0

RUN := .venv/bin/python
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check --no-deps
LOCKED := $(INSTALL) --require-hashes --only-binary :all:
CORE := .venv/.core-installed-for
STAMP := .venv/.all-installed-for
RELEASE := .venv/release/.installed-for
DONE = printf '%s' '$(subst ','\'',$(CURDIR))' > $@

# A checkout that was moved or copied brings a .venv that points to its old place.
ifneq ($(shell cat $(CORE) 2>/dev/null),$(CURDIR))
$(CORE): FORCE
endif

SEED := 1
QUICKSTART_ARGS := --install
# Processes of tests; 0: all in one, as a debugger wants it. Each multiplies matrices in one thread: as many processes
# as cores, each with as many threads, wait for each other and take more than twice the time.
JOBS := $(shell nproc 2>/dev/null || echo 2)
PYTEST := OPENBLAS_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS)

.PHONY: help install lock demo test test-fast test-later chaos chaos-long containers fire-times rebalance suspended outages parity quickstart check api-clients guardrails sdk-libraries docs licences images pin-images sbom audit format fuzz bench bench-client bench-compare bench-decode bench-detectors bench-lean bench-live bench-pages bench-peers bench-signals bench-stream bench-updates clean FORCE

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

install: $(CORE) ## make .venv with what Keelwatch needs to run; nothing to do when it is current

lock: $(CORE) ## write requirements/*.lock from pyproject.toml: UPGRADE=1 takes the newest versions
	@$(RUN) -m venv .venv/lock
	@.venv/lock/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/lock.lock
	@PATH="$(CURDIR)/.venv/lock/bin:$$PATH" $(RUN) requirements/lock.py $(if $(UPGRADE),--upgrade)

demo: $(CORE) ## replay a support bot whose model is silently replaced, print the incident
	@$(RUN) -m services.cli demo

test: $(STAMP) ## run all that this machine can run, and print what was not run and why
	@$(PYTEST) $(PYTEST_ARGS)

test-fast: $(STAMP) ## run what needs no broker, PostgreSQL, browser, process of Keelwatch or real embedder: minutes
	@$(PYTEST) -m fast $(PYTEST_ARGS)

# FAKETIME_FORCE_MONOTONIC_FIX=0: faketime would make threads that wait for each other spin. Detectors and signals are
# left out: they have no clock, which tests/architecture/test_purity holds.
test-later: $(STAMP) ## run the same as if it were 400 days later (needs Debian's package faketime)
	@PYTHONPATH='$(CURDIR)/tests/support/shifted' FAKETIME_FORCE_MONOTONIC_FIX=0 OPENBLAS_NUM_THREADS=1 \
		faketime -m --exclude-monotonic -f +400d $(RUN) -m pytest -n $(JOBS) -m later $(PYTEST_ARGS)

chaos: $(STAMP) ## kill and suspend workers, restart broker and database, full disk, wrong clock, topic made anew: SEED="1 2 3"; minutes a seed
	@for seed in $(SEED); do $(RUN) -m tests.chaos.run --seed $$seed $(CHAOS_ARGS) || exit; done
	@$(RUN) -m tests.chaos.machine $(MACHINE_ARGS)

chaos-long: $(STAMP) ## 300 kills, seed after seed, each run judged by sets: half an hour on two cores
	@$(RUN) -m tests.chaos.run --kills 60 --suspensions 0 --restarts 0 --exchanges 12000 --rate 60 --in-all 300 $(CHAOS_ARGS)

sdk-libraries: build/sdk/.done ## the client with the real OpenAI, Anthropic, LiteLLM and LangChain, in an environment of their own; 1 GB
	@PYTHONPATH='$(CURDIR)/sdk:$(CURDIR)' LITELLM_LOCAL_MODEL_COST_MAP=True build/sdk/bin/python -m tests.sdk.real_libraries $(SDK_ARGS)

api-clients: $(STAMP) build/clients/.done ## clients of the API by openapi-python-client and openapi-typescript, made and used (needs npm); 120 MB
	@$(RUN) -m tests.api.generated_clients build/clients

guardrails: $(STAMP) build/rails/.done ## rails of the real Guardrails AI and NeMo Guardrails, each in an environment of its own; 1 GB
	@$(RUN) -m tests.rails.real build/rails/guardrails-ai/bin/python build/rails/nemo-guardrails/bin/python

check: $(STAMP) ## formatting, lint, types, imports
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(RUN) -m mypy --config-file sdk/pyproject.toml sdk/keelwatch_client
	$(RUN) -c 'from importlinter.cli import lint_imports_command as main; main()'

docs: $(STAMP) ## the documentation as a site in build/docs, strictly; it loads nothing from elsewhere
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet
	@echo 'build/docs/index.html'

licences: $(STAMP) ## what is installed, under which licence and by whom; what does not say it is named with the reason
	@$(RUN) infra/release/licences.py

images: $(CORE) ## the images that are built on and run beside, each with a tag that stays
	@$(RUN) infra/release/images.py

pin-images: $(CORE) ## write today's digest behind every image: for a release (needs skopeo and the images' registries)
	@$(RUN) infra/release/images.py --pin

sbom: $(RELEASE) ## build/sbom.json: what the core installs, as CycloneDX
	@mkdir -p build
	@.venv/release/bin/cyclonedx-py requirements requirements/core.lock --output-format JSON --output-file build/sbom.json
	@echo 'build/sbom.json'

audit: $(RELEASE) ## known faults of what is pinned (needs PyPI's service); what it cannot look at is no pass
	@for lock in core multilingual mcp sentence-transformers; do .venv/release/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements/$$lock.lock || exit; done

format: $(STAMP) ## write the formatting that `check` asks for
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

quickstart: $(STAMP) ## from an empty folder to the first incident in Slack, with a stopwatch; installs the core anew, minutes (QUICKSTART_ARGS= here)
	@$(RUN) -m tests.e2e.quickstart $(QUICKSTART_ARGS)

parity: $(STAMP) ## the stream and replay say the same of 20,000 exchanges (needs Apache Kafka, PostgreSQL, recorded data)
	@$(RUN) -m tests.benchmarks.parity $(PARITY_ARGS)

fuzz: $(STAMP) ## broken records for each decoder of what comes in, two minutes each (FUZZ_ARGS="--seconds 10 --only otlp")
	@$(RUN) -m tests.ingest.fuzz $(FUZZ_ARGS)

bench: ## the benchmarks; each is a command that prints its figures
	@sed -n 's/^\(bench-[a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

bench-client: $(STAMP) ## what a call of keelwatch-client costs an application, with the API up, hanging and dead
	@$(RUN) -m tests.benchmarks.client $(BENCH_ARGS)

bench-compare: $(STAMP) ## what two runs of a suite show: false alarms, power, recorded updates of real models
	$(RUN) -m tests.benchmarks.compare $(BENCH_ARGS)

bench-decode: $(STAMP) ## exchanges decoded a second on one core, of each format and envelope
	@$(RUN) -m tests.benchmarks.decode $(BENCH_ARGS)

bench-detectors: $(STAMP) ## false alarms and delays of the detectors beside others', on recorded updates (needs recorded data)
	@$(RUN) -m tests.benchmarks.detectors $(BENCH_ARGS)

bench-lean: $(STAMP) ## what an installation and an idle `keelwatch up` take
	@$(RUN) -m tests.benchmarks.lean --install $(BENCH_ARGS)

bench-live: $(STAMP) ## a page that stays open for ten minutes beside 50 listeners grows by nothing (needs Chromium)
	@$(RUN) -m tests.benchmarks.live $(BENCH_ARGS)

bench-pages: $(STAMP) ## every list and page with 1,000,000 exchanges and 10,000 incidents, on both databases
	@$(RUN) -m tests.benchmarks.pages $(BENCH_ARGS)

bench-peers: build/peers/.done ## others' drift detectors in an environment of their own, for `make bench-detectors`; 4 GB

bench-signals: $(STAMP) ## what signals are worth on sources they were not fitted on, and what they cost (needs recorded data)
	@$(RUN) -m tests.benchmarks.heads $(BENCH_ARGS)
	@$(RUN) -m tests.benchmarks.personal_values
	@$(RUN) -m tests.benchmarks.closing_window
	@$(RUN) -m tests.benchmarks.signals

bench-stream: $(STAMP) ## how fast the stream is, as ratios of one run (needs Apache Kafka, PostgreSQL, recorded data)
	@$(RUN) -m tests.benchmarks.stream $(BENCH_ARGS)

bench-updates: $(STAMP) ## silent updates found, clean and narrowing streams left alone (needs recorded data)
	$(RUN) -m tests.benchmarks.updates $(BENCH_ARGS)

rebalance: $(STAMP) ## workers join, leave and are killed under traffic (needs Apache Kafka and PostgreSQL)
	$(RUN) -m tests.chaos.rebalance $(REBALANCE_ARGS)

fire-times: $(STAMP) ## 1,000 fire times, two replicas killed at random, clocks that are off: each is run once; a quarter of an hour
	@$(RUN) -m tests.chaos.fire_times $(FIRE_ARGS)

suspended: $(STAMP) ## a worker is suspended past its session, under traffic (needs Apache Kafka and PostgreSQL)
	@$(RUN) -m tests.chaos.suspended $(SUSPENDED_ARGS)

containers: $(STAMP) ## docker-compose.yml on a container engine: build, start, kill each container under traffic; minutes (KEELWATCH_CONTAINERS=unix://SOCKET)
	@$(RUN) -m tests.containers.run $(CONTAINERS_ARGS)

outages: $(STAMP) ## broker and database are away for a minute each, under traffic (needs both)
	$(RUN) -m tests.chaos.outages $(OUTAGES_ARGS)

build/clients/.done: requirements/api-clients.txt $(CORE)
	@$(RUN) -m venv build/clients/python
	@build/clients/python/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/api-clients.txt
	@npm install --prefix build/clients --no-audit --no-fund --silent openapi-typescript@7.13.0 typescript@5.9.3
	@touch $@

build/sdk/.done: requirements/sdk-libraries.txt $(CORE)
	@$(RUN) -m venv build/sdk
	@build/sdk/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/sdk-libraries.txt
	@touch $@

build/rails/.done: requirements/guardrails-ai.txt requirements/nemo-guardrails.txt $(CORE)
	@mkdir -p build/rails
	@for one in guardrails-ai nemo-guardrails; do $(RUN) -m venv build/rails/$$one && \
		build/rails/$$one/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/$$one.txt || exit; done
	@touch $@

build/peers/.done: tests/benchmarks/peers.txt $(CORE)
	@$(RUN) -m venv build/peers
	@build/peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/benchmarks/peers.txt
	@touch $@

clean: ## remove .venv and the tools' caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(CORE): pyproject.toml requirements/core.lock requirements/build.lock
	@rm -f $(CORE) $(STAMP)
	@.venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	for python in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.13 python3.14 python3 python); do \
		if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "making .venv with $$("$$python" --version)"; exec "$$python" -m venv --clear .venv; fi; done; \
	echo 'Python 3.11 or newer with venv and pip was not found: install it (Debian: python3 and python3-venv)' \
		'or name it: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo 'installing what requirements/core.lock pins into .venv'
	@$(LOCKED) -r requirements/core.lock -r requirements/build.lock
	@$(INSTALL) --no-build-isolation --no-index --editable .
	@$(DONE)

$(RELEASE): requirements/release.lock $(CORE)
	@$(RUN) -m venv .venv/release
	@.venv/release/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/release.lock
	@$(DONE)

# Both builds of PyTorch are locked. The one without CUDA is not on PyPI: pip finds it where PIP_EXTRA_INDEX_URL says.
$(STAMP): $(CORE) requirements/dev.lock requirements/multilingual.lock requirements/sentence-transformers.lock requirements/torch-cpu.lock requirements/torch.lock
	@rm -f $(STAMP)
	@echo 'adding what checks and tests need'
	@$(LOCKED) -r requirements/dev.lock
	@$(LOCKED) -r requirements/multilingual.lock
	@$(LOCKED) -r requirements/sentence-transformers.lock
	@$(LOCKED) -r requirements/torch-cpu.lock 2>/dev/null || { \
		echo "PyTorch's build without CUDA is nowhere that pip looks: taking PyPI's, on Linux several GB"; \
		$(LOCKED) -r requirements/torch.lock; }
	@$(DONE)
