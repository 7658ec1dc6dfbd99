# make run            a working VPN in namespaces, with a live view; ONCE=1: one login, 10 s of traffic each way, JSON
# make test           everything that must hold; the last line sums it up
# make scenarios      list the scenarios
# make scenario NAME=glob [JOBS=2] [HEADEND=strongswan]
# make bench          what the dataplane does per core
# make bench-headend  what the headend's process costs per Gbit, next to strongSwan's (ROUNDS=3 SECONDS_EACH=4 UDP_RATE=200M)
# make fuzz           list the fuzz targets; TARGET=name MINUTES=5: run one, guided by coverage (MERGE=1: tidy its corpus); ALL=1: each

export CARGO_TARGET_DIR ?= $(HOME)/.cache/adit/target
NAME ?= *
JOBS ?= 2
HEADEND ?= adit
# Which folder that is, the shell knows.
BENCH = "$$CARGO_TARGET_DIR/release/adit-bench"
# Holds the folder for the rest of its line.
CLAIM = . deploy/claim-target.sh

.PHONY: run test scenarios scenario bench bench-headend fuzz build
.DEFAULT_GOAL := build

build:
	@$(CLAIM); cargo build --release --workspace

run:
	@deploy/run.sh

test:
	@.ci/test.sh

scenarios:
	@$(CLAIM); cargo run --quiet --release --package adit-bench -- scenario list

scenario:
	@deploy/install-peers.sh
	@$(CLAIM); cargo build --quiet --release --workspace && $(BENCH) scenario run '$(NAME)' --jobs $(JOBS) --headend $(HEADEND)

bench:
	@$(CLAIM); cargo run --quiet --release --package adit-bench -- turn

bench-headend:
	@deploy/install-peers.sh
	@$(CLAIM); cargo build --quiet --release --workspace && bench/compare/headend-cpu.sh

fuzz:
	@bench/fuzz.sh
