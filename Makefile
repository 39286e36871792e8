# Two commands: `make demo` shows the main job on a real mount, `make test` runs lint, types and every test but those of a
# cluster and of a release. `make test-cluster` runs those on a real Kubernetes: yours by KUBECONFIG, or one of our own on
# a bare machine. `make release-check` runs those of what a release ships.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' guard/__init__.py)
# Programs that are built from Go modules, by version.
PROGRAMS := $(or $(VOLUME_GUARD_CACHE),$(HOME)/.cache/volume-guard)/programs
ACTIONLINT := $(PROGRAMS)/actionlint-1.7.12/actionlint
SYFT := $(PROGRAMS)/syft-1.57.1/syft
VALE := $(PROGRAMS)/vale-3.21.0/vale
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo test lint unit linux monitoring test-cluster release-check notes images sbom chart publish-images \
	publish-chart sign bench soak fuzz attacks lock clean

demo: $(VENV)/runtime
	@PYTHON=$(BIN)/python sh tests/demo.sh

test: lint unit linux monitoring

lint: $(VENV)/dev
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@# Links and tables of the pages; their words below.
	$(BIN)/pytest -q --no-header tests/unit/test_pages.py tests/unit/test_readme.py tests/unit/test_translations.py
	$(BIN)/zizmor --quiet --offline --pedantic .github action.yml
	@if [ -x $(ACTIONLINT) ] && [ -x $(VALE) ] || command -v go >/dev/null; then \
	    $(MAKE) --silent $(ACTIONLINT) $(VALE) && $(ACTIONLINT) -shellcheck= -pyflakes= \
	    && $(VALE) --config tests/vale/vale.ini *.md docs k8s tests; \
	else echo "no Go to build actionlint and vale with: zizmor alone has checked the workflows, and nothing the words of the pages"; fi

unit: $(VENV)/dev
	$(BIN)/pytest -q --numprocesses auto --dist worksteal --cov --cov-report= tests/unit
	@# Pure rooms: values in, values out, so every branch can be tested.
	$(BIN)/coverage report --include "$$($(BIN)/python tests/unit/pure_rooms.py)" --fail-under 95

linux: $(VENV)/dev
	@sh tests/packages.sh
	@$(BIN)/python -m tests.restic || echo "no restic to be had here: the tests of backups on real disks skip"
	@# More than there are cores: a test of the watcher mostly waits.
	$(BIN)/pytest -q --numprocesses 4 tests/linux

# Alerts, dashboard and log lines, in a Prometheus of this machine that scrapes a real watcher.
monitoring: $(VENV)/dev
	@sh tests/packages.sh
	$(BIN)/pytest -q --numprocesses auto --dist loadfile tests/monitoring

# CLUSTER names a part. A test mostly waits for its pods, so several run at a time, by groups, in the order of the files.
CLUSTER ?= tests/cluster
test-cluster: $(VENV)/dev
	@sh tests/packages.sh
	$(BIN)/pytest -q --numprocesses 3 --no-loadscope-reorder $(CLUSTER)

# Before a release: builds wheel, source archive and (with buildah) image, tests these instead of the checkout, and
# leaves in dist/ what passed.
release-check: $(VENV)/dev
	@sh tests/packages.sh
	$(BIN)/pytest -q tests/release --keep dist

# The steps of .github/workflows/release.yml. Only publish-images, publish-chart and sign reach a registry.
notes:
	@test "$(or $(TAG),v$(VERSION))" = "v$(VERSION)" || { echo "the tag $(TAG) is not the version $(VERSION)" >&2; exit 1; }
	@test -z "$(TAG)" || grep -q '^## $(VERSION) - [0-9]' CHANGELOG.md || { echo "CHANGELOG.md has no date for $(VERSION)" >&2; exit 1; }
	@mkdir -p dist
	@awk '/^## / { on = $$2 == "$(VERSION)"; next } on' CHANGELOG.md > dist/notes.md
	@grep -q . dist/notes.md || { echo "CHANGELOG.md has no section '## $(VERSION)'" >&2; exit 1; }

images:
	sh image/build.sh $(VERSION)

sbom: $(SYFT)
	for archive in dist/images/*.tar; do \
	    name=$$(basename "$$archive" .tar); \
	    $(SYFT) scan --quiet "oci-archive:$$archive" --source-name "$${name%.*}" --source-version $(VERSION) \
	        --output "spdx-json=dist/$$name.spdx.json" || exit; \
	done

chart:
	$(or $(HELM),helm) package k8s/helm/volume-guard --destination dist --version $(VERSION) --app-version $(VERSION)

publish-images:
	sh image/publish.sh images $(VERSION) $(REGISTRY)

publish-chart:
	sh image/publish.sh chart $(VERSION) $(REGISTRY)

sign:
	sh image/sign.sh

$(ACTIONLINT):
	GOBIN=$(@D) go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

$(SYFT):
	GOBIN=$(@D) go install github.com/anchore/syft/cmd/syft@v1.57.1

$(VALE):
	GOBIN=$(@D) go install github.com/vale-cli/vale/v3/cmd/vale@v3.21.0

# By hand, or in CI for show: prints ratios of one run.
bench: $(VENV)/dev
	$(BIN)/python tests/bench/gate.py
	$(BIN)/python tests/bench/watcher.py mount wipe

# Ten minutes of an application's random life with real wipes in it: none missed, none invented.
soak: $(VENV)/dev
	$(BIN)/python tests/bench/soak.py

# Each reader of foreign text in turn, guided by coverage, on Python 3.11 to 3.13. New inputs, and the one that fails, are
# left in .fuzz/.
MINUTES ?= 10
fuzz: $(VENV)/fuzz
	@for target in $$(ls tests/fuzz/corpus); do \
	    echo "$$target:"; mkdir -p .fuzz/$$target; \
	    $(BIN)/python -m tests.fuzz.run $$target $$(($(MINUTES) * 6)) .fuzz/$$target 2>.fuzz/$$target.log \
	    || { tail -40 .fuzz/$$target.log; exit 1; }; \
	    grep -E '^(stat::(number_of_executed|average|peak)|Done)' .fuzz/$$target.log; \
	done

# Every moment, call and limit that `make test` takes samples of: power failures, kills, failing calls, a hostile writer;
# and a watcher's life of 24 months.
# Smaller, in four minutes on two busy cores: KILLS=20 FAULTS=2 CRASH_IMAGES=few HOSTILE_NAMES=10000 LOSSES=1 MONTHS=1.
attacks: export FAULTS ?= all
attacks: export CRASH_IMAGES ?= all
attacks: export HOSTILE_NAMES ?= 1000000
attacks: export KILLS ?= 1000
attacks: export LOSSES ?= 50
attacks: export MONTHS ?= 24
attacks: $(VENV)/dev
	@sh tests/packages.sh
	$(BIN)/pytest -q -s --durations=0 \
	    tests/linux/test_crashes.py tests/linux/test_kills.py tests/linux/test_faults.py \
	    tests/linux/test_hostile_writer.py tests/linux/test_low_limits.py tests/unit/watch/test_months.py

# After a change of dependencies. No URL stands in the lock: hashes pin, whichever index serves.
# Extras stay: without them pip with hashes takes a package that another one needs with an extra for unpinned.
lock: $(VENV)/dev
	$(PIP) uv
	$(LOCK) pyproject.toml --group dev -o requirements/dev.txt
	$(LOCK) pyproject.toml -o requirements/image.txt
	@# What the extra adds to that.
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['doctor'], sep='\n')" \
	| $(LOCK) - -o requirements/doctor.txt
	echo 'atheris>=3.0,<3.1' | $(LOCK) - -o requirements/fuzz.txt  # 3.1 has no wheel for Python 3.11
	echo 'hatchling>=1.27' | $(LOCK) - -o requirements/build.txt
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-emit-index-url --python-version 3.11 \
	--custom-compile-command "make lock"

$(VENV)/runtime: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "volume-guard needs Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian, apt-get install python3-venv"; exit 1; }
	$(PIP) --editable .
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/runtime
	$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/fuzz: requirements/fuzz.txt $(VENV)/dev
	$(PIP) --require-hashes -r requirements/fuzz.txt
	@touch $@

clean:
	rm -rf $(VENV) .fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist
