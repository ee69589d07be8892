# One target per developer command; CI calls the same.
SHELL := bash
TARGET := $(if $(HOSTREAD_TARGET_DIR),CARGO_TARGET_DIR=$(HOSTREAD_TARGET_DIR),)
ARGS ?= --demo

.PHONY: run test unit engines

# Sets up the pinned engines, builds, and shows the demo.
run: engines
	$(TARGET) cargo run --release -q -p hostread -- up $(ARGS)

engines:
	npm ci --prefix engines --no-audit --no-fund

# No network, no engines.
unit:
	$(TARGET) cargo test -p hostread-schemas -p hostread-disk -p hostread-rules

test: unit
