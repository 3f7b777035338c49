# make demo   set up and analyse a real face        make test   set up, check and test everything
# make lint   check style and types                 make bench  measure speed
# A fresh machine needs Python >= 3.10, a C++20 compiler and the Python package index.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := pyproject.toml CMakeLists.txt $(shell find cpp src third_party -type f -not -name '*.so' -not -path '*/__pycache__/*')

.PHONY: demo test lint bench clean browser

$(STAMP): $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet ".[all,notebook,test]"
	touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo.py

# The browser tests need Chromium, the arm64 test a cross compiler and an emulator. On a Debian machine where we may
# install packages we do; elsewhere those tests say why they skip.
browser:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  for need in chromium:chromium g++-aarch64-linux-gnu:aarch64-linux-gnu-g++ qemu-user:qemu-aarch64; do \
	    command -v "$${need#*:}" >/dev/null || missing="$$missing $${need%%:*}"; \
	  done; \
	  [ -z "$$missing" ] || { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; } \
	    || echo "could not install:$$missing"; \
	fi

lint: $(STAMP)
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/mypy --strict -p pyopenface
	git ls-files 'cpp/*.cpp' 'cpp/*.h' | xargs $(BIN)/clang-format --dry-run -Werror

test: $(STAMP) browser lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf build dist $(VENV) demo_output
