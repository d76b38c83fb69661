# Every target is one line over a real command; continuous integration runs the same ones.
.DEFAULT_GOAL := help
PY := .venv/bin/python
.PHONY: help demo test check fix bench bench-micro bench-strain prove prove-disclosure prove-audit prove-faults prove-soak clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

.venv/.runtime: requirements.lock pyproject.toml
	@sh docker/install runtime

.venv/.test: requirements.lock pyproject.toml
	@sh docker/install test

demo: .venv/.runtime ## a first answer from fictional data: make demo ARGS="--once --port 8000"
	@.venv/bin/contactpoint demo $(ARGS)

test: .venv/.test ## every test, with the coverage floor: make test ARGS="-k lookup"
	@sh docker/install system
	@$(PY) -m tests.run $(ARGS)

check: .venv/.test ## lint, format, types, import contracts; changes nothing
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy && .venv/bin/lint-imports

fix: .venv/.test ## mend what can be mended: lint, format, the published SDL, page and scenarios
	@$(PY) -m ruff check --fix . ; $(PY) -m ruff format . && .venv/bin/contactpoint schema print > .schema.new && mv .schema.new schema/directory.graphql
	@.venv/bin/contactpoint access matrix --format markdown > .page.new && mv .page.new docs/who-sees-what.md
	@$(PY) -m tests.scenarios.render

bench: .venv/.runtime ## the project beside a peer in the rig; writes docs/benchmarks.md
	@$(PY) bench/run.py $(ARGS)

bench-micro: .venv/.test ## what each part of a lookup costs; writes docs/benchmarks-micro.md
	@$(PY) bench/micro.py $(ARGS)

bench-strain: .venv/.test ## ten times the connections, and one dead connector; writes docs/benchmarks-strain.md
	@$(PY) bench/under_strain.py $(ARGS)

prove: .venv/.test ## the long proofs; each writes its figures to docs/evidence.md
	@$(PY) -m tests.prove $(ARGS)

prove-disclosure: .venv/.test ## the proofs that nothing is told that may not be, at most 20 minutes
	@$(PY) -m tests.prove disclosure

prove-audit: .venv/.test ## the proofs of the audit log, each at most 20 minutes; goes on where it was interrupted
	@$(PY) -m tests.prove audit

prove-faults: .venv/.test ## the proofs of what every fault reads as, of sources and of our own; each at most 20 minutes
	@$(PY) -m tests.prove faults

prove-soak: .venv/.test ## half an hour with faults on: make prove-soak ARGS=600 for ten minutes
	@$(PY) -m tests.prove soak $(ARGS)

clean: ## remove what the commands made
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .proofs .coverage* .schema.new .page.new
