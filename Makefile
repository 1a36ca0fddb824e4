# make book | make test | make elsewhere | make check | make notebooks | make lab | make bench |
# make pdf | make check-pages | make test-long | make clean
# From a fresh clone only Python 3.11 to 3.14, make and git are needed: the first target sets up
# $(VENV). Variables count where they are given to make (make VENV=...), not where they are
# exported: an environment of that name may be another program's.
PYTHON := python3
VENV   := .venv
# Where pip's default torch wheel brings CUDA, name PyTorch's CPU wheel index here:
#   make book PIP_TORCH="--index-url <the CPU index from PyTorch's installation page>"
PIP_TORCH ?=
# Chapters and tests side by side; each is single-threaded, which is faster for these matrices.
JOBS := 2
# Processors that `make elsewhere` imitates: nehalem, haswell or both.
KERNELS := nehalem

BIN   := $(VENV)/bin
STAMP := $(VENV)/.stamp
export PATH := $(abspath $(BIN)):$(PATH)
# Without the person's own settings, which are not the book's: of matplotlib, IPython, Jupyter, ...
RUN   := $(BIN)/python -I -m hessrmt.hermetic
NBVAL := -m pytest -q -n $(JOBS) --dist loadscope -o addopts= -o filterwarnings= -p no:cacheprovider \
  --nbval --nbval-cell-timeout 600 --nbval-kernel-startup-timeout 300 --nbval-sanitize-with tests/nbval_sanitize.cfg book

.PHONY: setup book test test-long elsewhere check notebooks lab bench pdf check-pages clean
.DELETE_ON_ERROR:

setup: $(STAMP)

# torch first and alone: a resolver that may upgrade it brings several GB of CUDA packages.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 15) or sys.exit("Python 3.11 to 3.14 is needed, and $(PYTHON) is %d.%d; name another: make PYTHON=python3.13" % v[:2])'
	@echo "Setting up $(VENV): 0.4 GB to download (more with CUDA: README.md), 1.8 GB on disk, about 3 minutes"
	$(PYTHON) -I -m venv $(VENV)
	$(BIN)/python -I -m pip install torch==2.13.0 $(PIP_TORCH)
	$(BIN)/python -I -m pip install -c constraints.txt -e ".[book,test,networks,campaign]"
	@touch $@

# -W turns warnings into errors only in a full build, so an official build starts from nothing.
# The chapters are executed first, side by side; the pages show these executions, or those of
# `make test` where nothing has changed since.
book: $(STAMP)
	$(RUN) $(BIN)/python book/scripts/execute.py --pages _build --jobs $(JOBS)
	$(RUN) $(BIN)/jupyter-book build -W --keep-going --all --config _build/config.yml .
	$(RUN) $(BIN)/python -m pytest -q tests/book/test_html.py
	@echo "Open _build/html/index.html"

test: $(STAMP)
	$(RUN) $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal
	$(RUN) $(BIN)/python $(NBVAL) -p hessrmt.book.executions

# Every chapter at two corners of its domain, to out/corners/; the pages are to be read. An hour.
test-long: $(STAMP)
	$(RUN) $(BIN)/python tests/corners.py

# The chapters' stored outputs against execution with the kernels of older processors.
elsewhere: $(STAMP)
	set -e; for kernels in $(KERNELS); do \
	  $(RUN) $(BIN)/python tests/elsewhere.py $$kernels $(BIN)/python $(NBVAL); done

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

notebooks: $(STAMP)
	$(RUN) $(BIN)/python book/scripts/execute.py --jobs $(JOBS)
	$(RUN) $(BIN)/python book/scripts/picture.py

lab: $(VENV)/.lab-stamp
	$(RUN) $(BIN)/jupyter-lab --notebook-dir . book/random_matrix_primer.ipynb

$(VENV)/.lab-stamp: $(STAMP)
	$(BIN)/python -I -m pip install -c constraints.txt -e ".[lab]"
	@touch $@

# The peers live in their own environment: they bring packages that the book does not use.
bench: .venv-bench/.stamp $(STAMP)
	.venv-bench/bin/python benchmarks/laws.py $(SAVE)
	.venv-bench/bin/python benchmarks/hessians.py $(SAVE)
	.venv-bench/bin/python benchmarks/curvature.py $(SAVE)
	$(BIN)/python benchmarks/critical_points.py $(SAVE)
	$(BIN)/python benchmarks/chapters.py $(SAVE)

.venv-bench/.stamp: pyproject.toml constraints.txt benchmarks/constraints.txt
	$(PYTHON) -I -m venv .venv-bench
	.venv-bench/bin/python -m pip install -q torch==2.13.0 $(PIP_TORCH)
	.venv-bench/bin/python -m pip install -q -c constraints.txt -c benchmarks/constraints.txt -e ".[bench,networks]"
	@touch $@

pdf: $(STAMP)
	$(RUN) $(BIN)/python book/scripts/execute.py --pages _build --jobs $(JOBS)
	$(RUN) $(BIN)/jupyter-book build --all --builder pdflatex --config _build/config.yml .

# After make book. Needs node's npm, and a Chromium: that of the system, or one named by CHROMIUM.
check-pages: .venv-pages/.stamp
	.venv-pages/bin/python book/scripts/check_pages.py --axe .venv-pages/node_modules/axe-core/axe.min.js

.venv-pages/.stamp:
	$(PYTHON) -I -m venv .venv-pages
	.venv-pages/bin/python -m pip install -q playwright==1.65.2
	npm install --silent --no-fund --no-audit --prefix .venv-pages axe-core@4.14.1
	@touch $@

clean:
	rm -rf _build out
