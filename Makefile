# Every target says what it does; the logic is in archipelago/setup/.
SETUP := archipelago/setup
TARGET := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help run test prepare build ui fmt lint bench-supervisor bench-push bench-ui bench-recovery fuzz clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 · /p' $(MAKEFILE_LIST) | awk -F' · ' '{ printf "  make %-18s %s\n", $$1, $$2 }'

run: ## install what is missing, build, start the node with the demo app; Ctrl-C stops the node only
	@$(SETUP)/run.sh

test: ## install what is missing, run every check and test, Podman and browser included
	@$(SETUP)/test.sh

prepare: ## install what is missing and make rootless Podman work, nothing else
	@$(SETUP)/prepare.sh run

build: ui ## build the node and the command-line tool
	cargo build --release --locked -p archipelago -p archy

ui: ## build the web page
	@$(SETUP)/ui.sh build

fmt: ## format the Rust code
	cargo fmt

lint: ## formatting, clippy, documentation
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --quiet

bench-supervisor: ## measure the supervisor
	cargo bench --locked -p supervisor

bench-ui: ui ## measure the page in Chromium next to its budgets
	@npm --prefix ui run --silent bench

bench-recovery: ## measure recovery on real Podman beside other ways; takes some minutes on an otherwise idle machine
	@$(SETUP)/bench-recovery.sh

fuzz: ## feed every fuzz target for SECONDS=60, which make test does too
	@$(SETUP)/fuzz.sh $(or $(SECONDS),60)

bench-push: ## measure the push protocol over loopback; CLIENTS=1000 by default
	ulimit -n 65536 2>/dev/null || ulimit -n $$(ulimit -Hn); cargo bench --locked -p server --bench push -- $(or $(CLIENTS),1000)

clean: ## remove what was built; containers and data stay
	rm -rf ui/dist ui/node_modules $(TARGET)
