# One target per developer command; CI calls the same.
SHELL := bash
ARGS ?= --demo
# A target directory outside the checkout, for whoever wants one.
ifdef HOSTREAD_TARGET_DIR
export CARGO_TARGET_DIR := $(HOSTREAD_TARGET_DIR)
endif

.PHONY: run test check bench unit sim chaos fuzz lint deny compose engines

# Sets up the pinned engines, builds, and shows the demo.
run:
	@scripts/prerequisites run
	@scripts/npm-ci engines
	cargo run --release -q -p hostread -- up $(ARGS)

# Everything: format, lints, licences, unit, property, conformance and end-to-end tests.
test:
	@scripts/test

# What a change needs before review, without engines: format, lints, repository checks.
check: lint compose
	cargo test -q -p hostread-tidy

# No network, no engines, no native code: the default members.
unit:
	cargo test

# The job with a disk, a network and sinks that fail as a seed draws it: SEED=7719 repeats a run, SEEDS=200 makes as many
# new ones; neither: new ones for as long as in `make test`.
sim:
	HOSTREAD_SIM_SEED=$(SEED) HOSTREAD_SIM_SEEDS=$(SEEDS) cargo test -q -p hostread-sim seeds::seeds -- --nocapture

# MIX-1 with failures at random on real Kafka, ClickHouse and PostgreSQL, for 2 minutes or MINUTES=60; SEED repeats the draws.
chaos:
	@scripts/npm-ci engines
	@tests/kafka/setup
	cargo build -q --workspace --bins --examples
	HOSTREAD_TEST_SEED=$(SEED) HOSTREAD_CHAOS_MINUTES=$(MINUTES) cargo test -q -p hostread-it e2e::chaos -- --nocapture

# Every parser on damaged input: MINUTES each (1), PARSER=feed for one, SEED to repeat. What fails is kept in tests/fuzz/corpus.
fuzz:
	HOSTREAD_FUZZ_MINUTES=$(or $(MINUTES),1) HOSTREAD_FUZZ_PARSER=$(PARSER) HOSTREAD_FUZZ_SEED=$(SEED) \
	    cargo test -q -p hostread-fuzz for_minutes -- --nocapture

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

deny:
	@scripts/cargo-deny licenses bans sources

compose:
	@scripts/npm-ci docker/check
	@node docker/check/check.js docker-compose.yml

engines:
	@scripts/npm-ci engines

# The figures of docs/benchmarks.md, on a release build; about half an hour.
bench:
	@scripts/npm-ci engines
	cargo build --release -q -p hostread-benches
	scripts/bench
