# Thin on purpose: every recipe is a real command that can be typed by hand.

.PHONY: build cases check clean fmt help test

help: ## This list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/ -/'

build: ## Optimised binaries in target/release
	cargo build --release

cases: ## Policy cases: those of the repository, or FILE=...
	cargo run --quiet --package ah5-cases -- $(FILE)

check: ## Formatting and lints, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; \
	else echo "cargo-deny is not installed: licences and bans were not checked (cargo install cargo-deny)"; fi

test: ## Every test; installs PostgreSQL first where it may
	./.ci/prerequisites
	cargo test --workspace

fmt: ## Format the code
	cargo fmt --all

clean: ## Remove what was built
	cargo clean
