# medhash: the commands of the README.
#
#   make demo     install what is needed, run every stage on synthetic phantoms
#   make test     install what is needed, run every test
#   make lint     format, lint and type checks, and that imports run downwards only
#   make install  the first part of all of them: .venv with everything in it
#   make lock     pin the newest dependencies that pyproject.toml allows

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV := .venv
STAMP := $(VENV)/.installed
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
# Every command runs inside the environment, also those that Snakemake starts.
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

.PHONY: install demo test lint format lock environment clean
.DEFAULT_GOAL := install

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml tools/install.sh
	bash tools/install.sh $(VENV)
	touch $@

demo: install
	$(RUN) snakemake --profile workflow/profiles/demo --cores $(CORES) all
	$(RUN) snakemake --profile workflow/profiles/demo --cores $(CORES) \
	  --config run=families 'papers=[osdh,ynet,mth]' -- all_tables \
	  results/families/{ynet/figures/fig{3,4,5,7,8},mth/figures/attention}.pdf
	$(RUN) medhash show --scale demo

# One thread a worker: more would wait for each other. One worker more than cores: one waits for
# Slurm, and leaves its core idle.
test: install
	$(RUN) OMP_NUM_THREADS=1 pytest -n $$(( $(CORES) + 1 )) --dist loadgroup

lint: install
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) snakefmt --check Snakefile workflow/rules
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) snakemake --profile workflow/profiles/demo --lint

format: install
	$(RUN) ruff format .
	$(RUN) ruff check --fix .
	$(RUN) snakefmt Snakefile workflow/rules

lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	  --upgrade --output-file requirements.lock

environment: install
	$(RUN) python tools/make_environment.py

clean:
	rm -rf $(VENV) .uv .snakemake results/demo results/families logs
