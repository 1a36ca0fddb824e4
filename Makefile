# make book | make test | make check | make notebooks | make bench | make pdf | make check-pages |
# make clean
# From a fresh clone only python3, make and git are needed: the first target sets up $(VENV).
PYTHON ?= python3
VENV   ?= .venv
# Where pip's default torch wheel brings CUDA, name PyTorch's CPU wheel index here:
#   make book PIP_TORCH="--index-url <the CPU index from PyTorch's installation page>"
PIP_TORCH ?=
# Processes for the tests; each is single-threaded, which is faster for these matrices.
JOBS ?= 2

BIN   := $(VENV)/bin
STAMP := $(VENV)/.stamp
export OMP_NUM_THREADS = 1
export OPENBLAS_NUM_THREADS = 1
export MKL_NUM_THREADS = 1
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: setup book test check notebooks bench pdf check-pages clean
.DELETE_ON_ERROR:

setup: $(STAMP)

# torch first and alone: a resolver that may upgrade it brings several GB of CUDA packages.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q torch==2.13.0 $(PIP_TORCH)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[book,test,networks,campaign]"
	@touch $@

# -W turns warnings into errors only in a full build, so an official build starts from nothing.
book: $(STAMP)
	rm -rf _build
	$(BIN)/jupyter-book build -W --keep-going --all .
	$(BIN)/python -m pytest -q tests/book/test_html.py
	@echo "Open _build/html/index.html"

# One thread a process: with more, two kernels side by side wait for each other's threads.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: $(STAMP)
	$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadscope -o addopts= -o filterwarnings= -p no:cacheprovider --nbval --nbval-current-env \
	  --nbval-cell-timeout 600 --nbval-sanitize-with tests/nbval_sanitize.cfg book

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

notebooks: $(STAMP)
	$(BIN)/python book/scripts/execute.py
	$(BIN)/python book/scripts/picture.py

# The peers live in their own environment: they bring packages that the book does not use.
bench: .venv-bench/.stamp $(STAMP)
	.venv-bench/bin/python benchmarks/laws.py $(SAVE)
	.venv-bench/bin/python benchmarks/hessians.py $(SAVE)
	$(BIN)/python benchmarks/critical_points.py $(SAVE)
	$(BIN)/python benchmarks/chapters.py $(SAVE)

.venv-bench/.stamp: pyproject.toml constraints.txt benchmarks/constraints.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install -q torch==2.13.0 $(PIP_TORCH)
	.venv-bench/bin/python -m pip install -q -c constraints.txt -c benchmarks/constraints.txt -e ".[bench,networks]"
	@touch $@

pdf: $(STAMP)
	$(BIN)/jupyter-book build --all --builder pdflatex .

# After make book. Needs node's npm, and a Chromium: that of the system, or one named by CHROMIUM.
check-pages: .venv-pages/.stamp
	.venv-pages/bin/python book/scripts/check_pages.py --axe .venv-pages/node_modules/axe-core/axe.min.js

.venv-pages/.stamp:
	$(PYTHON) -m venv .venv-pages
	.venv-pages/bin/python -m pip install -q playwright==1.65.2
	npm install --silent --no-fund --no-audit --prefix .venv-pages axe-core@4.14.1
	@touch $@

clean:
	rm -rf _build out
