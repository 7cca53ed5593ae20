# Two commands for a newcomer: `make demo` and `make test`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Rooms whose tests measure branch coverage (floor: fail_under in pyproject.toml); a tracer costs a third more time.
MEASURED := tests/aggregate tests/contracts tests/disclosure tests/files tests/plan tests/predict
# Two processes, files in their order: by default the files with the fewest tests, some of them the slowest, are last.
IN_TWO := -n 2 --dist loadfile --no-loadscope-reorder
# What the demo's model reads: table, fhir or imaging.
TRACK ?= table

.PHONY: demo test check attack audit bench dashboard docs links screenshots wheel lock clean

demo: .venv/.demo
	@sh requirements/system.sh
	@$(BIN)/healthval demo --track $(TRACK)

test: check
	$(BIN)/python -m pytest -q $(IN_TWO) $(MEASURED) --cov
	$(BIN)/python -m pytest -q $(IN_TWO) $(MEASURED:%=--ignore=%)

check: .venv/.dev
	@sh requirements/system.sh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell

# The known attacks on de-identification, gate, hub, report and templates once more, promise by promise.
attack: .venv/.dev
	@sh requirements/system.sh
	@$(BIN)/python tests/attack.py

# All benchmarks, or those in ONLY="metrics start"; tables, versions, ratios and a plot in benchmarks/results.md.
bench: .venv/.bench
	@.venv-bench/bin/python benchmarks/run.py $(ONLY)

# Fails for a dependency with a known weakness, and for one that could not be looked up.
audit: .venv/.audit
	@mkdir -p dist
	.venv-audit/bin/cyclonedx-py requirements requirements/demo.txt --pyproject pyproject.toml \
		--mc-type application --output-reproducible -o dist/healthval.cdx.json
	@for lock in demo dev; do .venv-audit/bin/pip-audit --strict --disable-pip --require-hashes \
		-r requirements/$$lock.txt || exit 1; done

# The page that the hub serves, from its sources; needs Node 20.19 or newer.
dashboard:
	cd reports/dashboard && npm ci --no-audit --no-fund && npm run build

# The docs as HTML in docs/_build/html; a wheel that is built afterwards contains them.
docs: .venv/.dev
	@$(BIN)/python -m sphinx -q -W -b html -d .venv/.doctrees docs docs/_build/html
	@echo docs/_build/html/index.html

# Asks every external link of README and docs for an answer; needs a network.
links: .venv/bin/python
	@$(BIN)/python tests/links.py

# The picture in README, from the demo's present report; needs pdftoppm (poppler).
screenshots: demo
	pdftoppm -png -singlefile -f 1 -r 80 demo/report.pdf docs/report-page-1

# Wheel and sdist in dist/; built twice, and refused if one byte differs.
wheel: docs
	rm -rf dist/again && mkdir -p dist/again
	$(BIN)/python -m hatchling build -d dist
	$(BIN)/python -m hatchling build -d dist/again
	@for file in dist/again/*; do cmp "$$file" "dist/$${file##*/}" || exit 1; done
	@rm -r dist/again

lock:
	sh requirements/lock.sh

clean:
	rm -rf .venv .venv-audit .venv-bench demo runs docs/_build docs/reference

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "healthval needs Python 3.11 or newer: install python3.11 and run make again"; exit 1; }
	@sh requirements/venv.sh $(PYTHON) .venv

# The hash-checked lock first, then the project itself without looking anything up.
.venv/.demo: requirements/demo.txt pyproject.toml | .venv/bin/python
	@test -f .venv/.dev || { echo "installing from requirements/demo.txt"; \
		$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements/demo.txt; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml | .venv/bin/python
	@echo "installing from requirements/dev.txt"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Our lock must install; a peer that does not is named, and is a row of the results.
.venv/.bench: requirements/bench.txt pyproject.toml $(wildcard requirements/peers/*.txt) | .venv/bin/python
	@echo "installing from requirements/bench.txt and requirements/peers"
	@sh requirements/venv.sh $(PYTHON) .venv-bench
	@.venv-bench/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements/bench.txt
	@.venv-bench/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@.venv-bench/bin/python benchmarks/peers.py
	@touch $@

.venv/.audit: requirements/audit.txt | .venv/bin/python
	@sh requirements/venv.sh $(PYTHON) .venv-audit
	@.venv-audit/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements/audit.txt
	@touch $@
