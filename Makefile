# Two commands: `make run` and `make test`. Every line below is one that a person could type.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check
# make run INPUT=command.wav  speaks from a file; ARGS are handed on to edgevoice.
INPUT ?=
OUTPUT ?= reply.wav
ARGS ?=

.DELETE_ON_ERROR:
.PHONY: help run setup models test test-system lint bench install uninstall bundle bundle-models test-bundle lock clean

help:
	@echo "make run     install what is missing, fetch the models, and listen (or: make run INPUT=command.wav)"
	@echo "make test    the same set-up, then all tests"
	@echo "make lint    ruff and mypy"
	@echo "make bench   measure it on this machine; see docs/benchmarks.md"
	@echo "make install install for the whole machine, with its service;  make uninstall: remove that again"
	@echo "make bundle  ARCH=aarch64: an archive that installs on a board without a network;  make test-bundle: try it"
	@echo "make setup   install only;  make models: and fetch the models;  make clean: remove .venv and caches"

run: models
	$(VENV)/bin/edgevoice run $(if $(INPUT),--input "$(INPUT)" --output "$(OUTPUT)") $(ARGS)

setup: $(VENV)/.runtime

# Checks in well under a second, without a network, when everything is there.
models: setup
	$(VENV)/bin/edgevoice models pull

test: $(VENV)/.dev
	$(VENV)/bin/edgevoice models pull
	$(VENV)/bin/edgevoice models pull vosk-ko piper-en_US-joe-medium
	$(VENV)/bin/python -m pytest $(ARGS)

# The service in a real systemd, in a Debian in a folder. It takes root; see docs/service.md.
test-system: $(VENV)/.dev
	PYTHON=$(PYTHON) tools/system_packages.sh system
	$(VENV)/bin/edgevoice models pull
	EDGEVOICE_SYSTEM_TESTS=1 $(VENV)/bin/python -m pytest tests/system $(ARGS)

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# MANIFEST: recordings, one JSON object a line with audio, and text for word error rates; without it a voice speaks some.
MANIFEST ?=
bench: $(VENV)/.bench models
	$(VENV)/bin/edgevoice models pull whisper-tiny.en-ct2 piper-en_US-joe-medium
	mkdir -p build
	$(VENV)/bin/python -m tools.soundcard $(VENV)/bin/edgevoice bench run --json build/bench.json \
		$(if $(MANIFEST),--manifest "$(MANIFEST)") $(ARGS)
	$(VENV)/bin/python -m tools.soundcard $(VENV)/bin/python -m tools.bench_microphone

# For the whole machine: packages in PREFIX, models and state in /var/lib/edgevoice, the command in /usr/local/bin. Again,
# to bring it up to date. Everything is made by whoever types this, and root installs it. More: ARGS="--state /data/voice".
PREFIX ?= /opt/edgevoice
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
install: bundle-models
	folder=$$($(VENV)/bin/python -m tools.bundle --models build/bundle/models --work build/install) \
		&& python=$$($(VENV)/bin/python -c 'import sys; print(sys._base_executable)') \
		&& $(AS_ROOT) "$$folder/install.sh" --prefix "$(PREFIX)" --python "$$python" $(ARGS)

uninstall:
	$(AS_ROOT) tools/bundle/install.sh --uninstall --prefix "$(PREFIX)"

# The same in one archive, for a board with these versions of Python, without a network and without a compiler.
ARCH ?= aarch64
PYTHONS ?= 3.11 3.13
bundle: build/bundle/.tools bundle-models
	build/bundle/venv/bin/python -m tools.bundle --models build/bundle/models --work build/bundle \
		--arch "$(ARCH)" --pythons "$(PYTHONS)" --into dist

# The default models, whatever is configured here.
bundle-models: setup
	$(VENV)/bin/edgevoice models pull --quiet --all-for /dev/null --into build/bundle/models >/dev/null

# Half an hour of emulation; it takes root.
test-bundle:
	PYTHON=$(PYTHON) tools/system_packages.sh arm
	$(MAKE) bundle ARCH=aarch64
	tools/try_bundle.sh build/try-bundle "$$(ls -t dist/edgevoice-*-aarch64.tar.gz | head -n 1)"

# A file in .venv says that a step was done; it is made last, so that a step that was cut short is done again.

$(VENV)/.created:
	PYTHON=$(PYTHON) tools/system_packages.sh run
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "edgevoice needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.maxsize < 2**32)' \
		|| { echo "edgevoice needs a 64-bit system: there is no ONNX Runtime for 32 bits. Raspberry Pi 3, Zero 2 and newer run the 64-bit Raspberry Pi OS."; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

$(VENV)/.runtime: $(VENV)/.created requirements.lock pyproject.toml
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps -e .
	touch $@

$(VENV)/.dev: $(VENV)/.created requirements-dev.lock pyproject.toml
	PYTHON=$(PYTHON) tools/system_packages.sh test
	$(PIP) --require-hashes -r requirements-dev.lock
	$(PIP) --no-deps -e .
	touch $(VENV)/.runtime $@

$(VENV)/.bench: $(VENV)/.runtime requirements-bench.lock
	PYTHON=$(PYTHON) tools/system_packages.sh test
	$(PIP) --require-hashes -r requirements-bench.lock
	touch $@

build/bundle/.tools: requirements-bundle.lock
	PYTHON=$(PYTHON) tools/system_packages.sh bundle
	$(PYTHON) -m venv --clear build/bundle/venv
	build/bundle/venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

# After a change of the dependencies in pyproject.toml; ARGS=--upgrade takes the newest versions. One lock serves every
# Python and processor we support.
lock:
	$(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet uv
	$(LOCK) --extra export --extra vosk -o requirements.lock
	$(LOCK) --constraints requirements.lock -o requirements-board.lock
	$(LOCK) --extra dev --constraints requirements.lock -o requirements-dev.lock
	$(LOCK) --extra export --extra vosk --extra piper --extra bench --constraints requirements-dev.lock -o requirements-bench.lock
	$(LOCK:pyproject.toml=tools/bundle/requirements.in) --constraints requirements.lock -o requirements-bundle.lock

LOCK = build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header pyproject.toml $(ARGS)

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
