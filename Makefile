# What to type. Everything with logic is a program or a test; this file stays thin.
# What tests and lints are built with: everything but the allocator, whose build costs two minutes.
export TESTED = --features sealwright/fail-points,sealwright-agent/fail-points
.PHONY: help setup build demo quick test chaos fuzz bench package check fix clean

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | sort

setup: ## Install what demo and tests need, where this user may
	@.ci/setup

build: ## Build everything for use
	cargo build --release --workspace --features sealwright/jemalloc

demo: ## A whole portal on this computer; with ONCE=1 it ends when alice's card is ready
	@.ci/setup demo
	cargo build --profile demo -p sealwright -p sealwright-agent -p virtual-card -p sealwright-world --bins
	@target/demo/sealwright-demo $(if $(ONCE),--once)

quick: ## Run the tests that need no servers and no root, on SQLite: two minutes
	cargo nextest run --workspace --lib --bins $(TESTED) --profile quick

test: ## Run every test, on both databases and with every real part
	@.ci/setup
	@.ci/test

chaos: ## Kill portal and agent, and pull the card, at every place, on both databases
	@.ci/setup
	@.ci/test chaos

fuzz: ## Feed every parser with bytes that look for its faults, for a minute each
	@.ci/fuzz 60

bench: ## Measure what the README says of speed and memory
	@.ci/setup
	cargo build --profile dist --workspace --features sealwright/jemalloc --bins --benches
	cargo bench --profile dist --workspace --features sealwright/jemalloc --bench portal

package: ## Debian packages of server and agent, in var/package
	cargo build --profile dist --features sealwright/jemalloc -p sealwright -p sealwright-agent --bins
	@deploy/package

check: ## What .ci/run checks beside the tests: format, lints, documents
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets $(TESTED) -- -D warnings
	cargo clippy --manifest-path fuzz/Cargo.toml --target-dir "$${CARGO_TARGET_DIR:-var/fuzz/target}/fuzz" -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet

fix: ## Format, and mend what the lints can mend
	cargo fmt --all
	cargo clippy --fix --allow-dirty --workspace --all-targets $(TESTED)

clean: ## Remove what the demo and the tests left behind
	rm -rf var
