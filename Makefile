# Two commands are all a newcomer needs: `make demo` and `make test`. Each installs what it lacks and says so.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench web e2e fmt need-build need-test

WEB := console/web
WEB_SOURCES := $(shell find $(WEB) -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
NEXTEST := $(shell command -v cargo-nextest >/dev/null 2>&1 && echo 'nextest run' || echo 'test')

help:
	@echo 'make demo   build everything and run it on http://127.0.0.1:8080 with simulated elders'
	@echo 'make test   all checks and tests, with real Chromium, mosquitto clients and paho'
	@echo 'make check  formatting, lints and the web app'\''s types only'
	@echo 'make bench  vigil bench for the three profiles, then the criterion benches'

need-build:
	@scripts/need build

need-test:
	@scripts/need test

# The web app is embedded in the binary, so it is built first.
web: $(WEB)/dist/index.html
$(WEB)/dist/index.html: $(WEB_SOURCES) | need-build
	cd $(WEB) && npm ci --no-audit --no-fund && npm run build

demo: need-build web
	cargo build --release --bin vigil
	./target/release/vigil demo

check: need-build web
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cd $(WEB) && npm run check

test: need-test check
	cd $(WEB) && npm test
	cargo $(NEXTEST) --workspace --no-fail-fast
	@[ -d "$${VIGIL_SHARED_DATA:-../shared/data}" ] || echo 'SKIPPED, for want of the shared recordings (../shared/data or VIGIL_SHARED_DATA): \
	the device vectors through the codecs, MIT-BIH 100 through import and store, the MIMIC recording through the engine, the CSV reader, \
	vigil judge and vigil replay (each such test prints SKIPPED and passed without looking at them)'

bench: need-build web
	cargo build --release --bin vigil
	for profile in frames30 single mixed; do ./target/release/vigil bench --json --profile $$profile --server-cpus 0 --load-cpus 1; done
	cargo bench --workspace

fmt:
	cargo fmt --all
