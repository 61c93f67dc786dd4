# escape-ntk. `make help` lists what can be asked for.
#
# Variables:  PYTHON=python3.12    the interpreter that .venv is made with (3.11 or newer)
#             TORCH_INDEX=<URL>    one more package index to look for torch in, for example the
#                                  CPU index that PyTorch's install page prints
#             PAGES="book/x.md"    the pages that `make notebooks` executes
#             PORT=8000            where `make serve` listens

SHELL         := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON      ?= python3
TORCH_INDEX ?=
PORT        ?= 8000

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
PAGES ?= $(shell grep -l '^```{code-cell' book/*.md 2>/dev/null)

# Bytecode is kept, whatever the shell says: tests start some eighty processes, and each would compile
# torch and its kin anew, three seconds of a core.
unexport PYTHONDONTWRITEBYTECODE

PIP := $(BIN)/python -m pip --disable-pip-version-check -q
# Modules are compiled when they are first imported; most of them never are.
PIP_INSTALL := $(PIP) install --no-compile $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
PIP_TOOLS   := pip-tools==7.6.2

##@ For readers

.PHONY: book
book: $(STAMP)  ## Build the book: _build/html/index.html (VERBOSE=1: where its time goes)
	@$(BIN)/python book/tools/build.py

.PHONY: serve
serve: book  ## Build the book and serve it at http://127.0.0.1:PORT
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

.PHONY: pdf
pdf: book  ## Print the whole book, with an installed Chromium: _build/pdf/escape-ntk.pdf
	@$(BIN)/python book/tools/whole_book.py

.PHONY: test
test: $(STAMP)  ## Run all tests: style, units, bad input, notebooks, the site in a browser
	@# Notebooks before the book, which shows what they printed and executes only what they did not.
	@MAKE="$(MAKE)" $(BIN)/python tests/side_by_side.py \
	    "test-notebooks book>test-pages" "lint test-unit test-input"

##@ For authors

# Two processes of one thread each: more threads than cores only wait for one another.
# All tests of a file by one of them: what they share is made once.
PYTEST := env OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist loadfile --numprocesses

# Notebooks, book and pages come one after the other, longest of all: what is tested beside them
# takes the cores that they leave.
LATER := nice -n 5

.PHONY: lint
lint: $(STAMP)  ## Check style and types: ruff, oxlint on scripts, and basedpyright on src
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/oxlint --format unix book/_static
	@$(BIN)/basedpyright

.PHONY: test-unit test-input test-notebooks test-site test-pages
test-unit: $(STAMP)  # the package, with array shapes checked against the signatures
	@SHAPES=1 $(LATER) $(PYTEST) 2 tests --ignore=tests/bad_input --ignore=tests/site

test-input: $(STAMP)  # bad input; shapes unchecked, as users run the package
	@$(LATER) $(PYTEST) 2 tests/bad_input

test-notebooks: $(STAMP)  # executed, outputs compared with the stored ones and kept for the book
	@# In this order: the longest first, or it is still running when all others have ended.
	@$(PYTEST) 2 --no-loadscope-reorder -p tests.book_outputs --nbval-lax --nbval-current-env \
	    --nbval-sanitize-with tests/nbval.cfg book/mlp.ipynb \
	    $(filter-out book/mlp.ipynb,$(sort $(wildcard book/*.ipynb)))

test-site: book test-pages

test-pages: $(STAMP)  # the built site in a real browser
	@# Three: each waits a fifth of its time, for what a reader would wait for.
	@$(PYTEST) 3 tests/site

.PHONY: mutation
mutation: $(STAMP)  ## Change the numeric core in 300 places: do the tests see it? (an hour)
	@$(BIN)/python tests/mutation/mutate.py

# The numeric core in pyproject.toml ([tool.coverage.run]) and the tests of it.
CORE := composites constructions directions generalization kernel leaks module_cases modules \
    network_features pairs regularizer rkc_flow spectrum
CORE_TESTS := $(foreach name,$(CORE),$(wildcard tests/*/test_$(name).py)) \
    tests/chapters/test_joint.py \
    $(addprefix tests/bad_input/test_,core_bad_input.py features_bad_input.py kernel_bad_input.py)

# One process of one thread at a time: what else runs disturbs what is measured.
.PHONY: bench bench-peers
bench: $(STAMP)  ## Time training against its bare products: benchmarks/training.json
	@$(BIN)/python benchmarks/training.py

# neural-tangents goes with no recent JAX: an environment of its own, on one core.  Python 3.11 or 3.12.
bench-peers:  ## Time what JAX and neural-tangents take for the same: benchmarks/peers.json
	@test -d $(VENV)-peers || $(PYTHON) -m venv $(VENV)-peers
	@$(VENV)-peers/bin/python -m pip --disable-pip-version-check -q install -r benchmarks/peers.txt
	@XLA_FLAGS=--xla_cpu_multi_thread_eigen=false taskset -c 0 \
	    $(VENV)-peers/bin/python benchmarks/peers.py

.PHONY: coverage
coverage: $(STAMP)  ## Run the tests of the numeric core: 95 % of its lines and branches, or fail
	@$(BIN)/python -m pytest --cov --numprocesses 2 $(CORE_TESTS)

.PHONY: wheel
wheel: $(STAMP)  ## Try the wheel in an empty environment (installs torch anew: minutes)
	@TORCH_INDEX="$(TORCH_INDEX)" $(BIN)/python tests/packaging/try_wheel.py

.PHONY: notebooks
notebooks: $(STAMP)  ## Execute pages into their paired .ipynb (PAGES="book/setup.md" for some)
	@$(BIN)/python book/tools/pair_notebooks.py $(PAGES)

.PHONY: readers
readers: book  ## Write the reader's edition of each chapter, from the built book: readers/
	@$(BIN)/python book/tools/readers_edition.py

.PHONY: links
links: $(STAMP)  ## Ask every external address whether it is there (needs a network)
	@$(BIN)/jupyter-book build . -q --builder linkcheck --path-output _build/links

.PHONY: launch
launch: $(STAMP)  ## Write the repository's address (_config.yml) into the notebooks, for Colab
	@$(BIN)/python book/tools/launch.py

.PHONY: picture
picture: $(STAMP)  ## Draw the README's pictures and the card that a link shows, from the records
	@$(BIN)/python book/tools/readme_picture.py

.PHONY: lock
lock:  ## Pin requirements.in, transitive packages included, into requirements.txt
	@# Pins that still fit are kept; delete requirements.txt first to take the newest of all.
	@$(call require_python,$(PYTHON))
	@$(PYTHON) -m venv --clear _build/lock
	@_build/lock/bin/python -m pip --disable-pip-version-check -q install $(PIP_TOOLS)
	@CUSTOM_COMPILE_COMMAND="make lock" _build/lock/bin/pip-compile -q \
	    --no-config --strip-extras --allow-unsafe --annotation-style=line \
	    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
	    $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
	    --output-file=requirements.txt requirements.in
	@# torch: no local suffix (+cpu), so that the pin holds for every build of it; the CUDA
	@# packages of its Linux build are left to torch, which pins them exactly itself.
	@sed -i.bak -E -e 's/^(torch==[^+ ]+)\+[a-z0-9.]+/\1/' -e '/^(nvidia-|cuda-|triton)/d' \
	    requirements.txt && rm -r requirements.txt.bak _build/lock

.PHONY: clean
clean:  ## Remove what was built; .venv stays
	rm -rf _build

.PHONY: help
help:  ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { split($$1, name, ":"); printf "  make %-11s %s\n", name[1], $$2 }' \
	    $(MAKEFILE_LIST)
	@printf '\nVariables: PYTHON, TORCH_INDEX, PAGES, PORT (see the first lines of the Makefile)\n'

# --- the environment ---------------------------------------------------------------------------

IS_RECENT := import sys; sys.exit(sys.version_info < (3, 11))

# $(call require_python,PYTHON): stop with a clear message unless it is 3.11 or newer.
define require_python
command -v $(1) >/dev/null || { \
    echo "error: expected Python 3.11 or newer; found no '$(1)'." \
         "Install one, or choose it: make PYTHON=/path/to/python3.12" >&2; exit 1; }; \
$(1) -c '$(IS_RECENT)' || { \
    echo "error: expected Python 3.11 or newer; got $$($(1) --version 2>&1) as '$(1)'." \
         "Install a newer one, or choose it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
endef

# Installed once: again only when the pins or the package's own declaration change.
$(STAMP): requirements.txt pyproject.toml
	@$(BIN)/python -c '$(IS_RECENT)' 2>/dev/null || { \
	    $(call require_python,$(PYTHON)); $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing the packages of requirements.txt into $(VENV) (once, some minutes)"
	@$(PIP_INSTALL) -r requirements.txt
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@
