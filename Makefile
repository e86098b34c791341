# Thin on purpose: every recipe is a real command that can be typed by hand.

.PHONY: bench-policy bench-quick build cases check clean demo fmt fuzz help run schemathesis test

# Where cargo puts what it builds.
TARGET = $(or $(CARGO_TARGET_DIR),target)
SHIPPED = -p ah5-control-plane -p ah5-data-plane -p ah5-harness -p ah5-testkit --bins

help: ## This list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/ -/'

run: ## Bring up everything in the foreground, at http://localhost:8080; Ctrl-C stops it
	@./.ci/prerequisites
	cargo build --release $(SHIPPED)
	@exec "$(TARGET)/release/ah5-run"

demo: build ## Play an owner and an agent against the running product
	@exec "$(TARGET)/release/demo"

build: ## Optimised binaries in target/release
	cargo build --release $(SHIPPED)

cases: ## Policy cases: those of the repository, or FILE=...
	@./.ci/prerequisites
	cargo build --quiet -p ah5-control-plane -p ah5-data-plane -p ah5-cases --bins
	@exec "$(TARGET)/debug/cases" $(FILE)

check: ## Formatting and lints, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; \
	else echo "cargo-deny is not installed: licences and bans were not checked (cargo install cargo-deny)"; fi

schemathesis: ## Requests made up from openapi.json: EXAMPLES=number for each route (100)
	./.ci/prerequisites
	./.ci/test-servers
	cargo build --workspace --bins --tests
	EXAMPLES=$(or $(EXAMPLES),100) cargo test --quiet --workspace no_request_that_the_document -- --nocapture

test: ## Every test; installs PostgreSQL, nginx, Chromium and the servers of tests first where it may
	./.ci/prerequisites test
	./.ci/test-servers
	cargo build --workspace --bins --tests
	cargo test --workspace

bench-quick: ## CPU time per call, beside nginx and a bare pass-through
	./.ci/prerequisites
	cargo build --profile bench-lto -p ah5-control-plane -p ah5-data-plane -p ah5-bench --bins
	"$(TARGET)/bench-lto/ah5-bench" quick

bench-policy: ## The policy engine: instructions (needs valgrind), CPU time and memory
	cargo bench -p ah5-policy --bench instructions
	cargo bench -p ah5-policy --bench decide
	cargo bench -p ah5-policy --bench filter

fuzz: ## Fuzz the policy engine: TIME=seconds for each target (120), TARGETS="url sse"
	@./.ci/fuzz

fmt: ## Format the code
	cargo fmt --all

clean: ## Remove what was built and everything that `make run` keeps, its database included
	./.ci/clean
