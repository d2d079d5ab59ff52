# Each target does its own set-up, so that any of them is the first command on a new machine.

# make's job server is for make's children; cargo has its own, and warns about a stranger's.
unexport MAKEFLAGS MFLAGS

.PHONY: help setup demo test lint accessible bench soak library-stress simulate sanitize fuzz examples guides package dist dist-test deny clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## check the toolchain; add what the default component's build lacks
	@scripts/setup.sh

demo: setup ## build, run a real pipeline, show the run, in a browser if you like
	@scripts/demo.sh

test: setup ## formatting, lints, all tests
	@scripts/lint.sh format
	@scripts/test.sh --with-lints

lint: setup ## formatting and lints only
	@scripts/lint.sh

accessible: setup ## check the collector's pages by the rules of axe-core, in Chromium
	@scripts/accessible.sh

bench: setup ## measure, and print the tables of docs/performance.md
	@scripts/bench.sh

soak: setup ## hundreds of rounds of killing processes at every point
	@scripts/soak.sh

library-stress: setup ## call libpipefold 100,000 times each from a JVM and from Go, behind a hostile policy
	@scripts/library-stress.sh

simulate: setup ## a day's runs through a fleet on this machine, against a DX that limits; RUNS, SPEED and more by variables
	@scripts/simulate.sh

sanitize: setup ## call the C library by 16 threads for long, and under sanitizers and valgrind
	@scripts/sanitize.sh

fuzz: setup ## feed random bytes to whatever reads foreign ones, FUZZ_SECONDS (60) for each target
	@scripts/fuzz.sh

examples: setup ## run the hosts, policies and sources of examples/, and compare their records with the command's
	@scripts/examples.sh

guides: setup ## follow the guides of docs/, command by command
	@scripts/guides.sh

package: setup ## check that the packaged crates build outside this workspace, without a wasm target
	@scripts/package.sh

dist: setup ## build static executables for x86_64 and aarch64, and package them into dist/
	@scripts/dist.sh

dist-test: ## install each package of dist/ in a clean root, and run it there
	@scripts/dist-test.sh

deny: ## check licences, sources and known vulnerabilities of all dependencies
	@scripts/deny.sh

clean: ## remove everything that was built
	cargo clean
	rm -rf host/sandbox/component fuzz/target target-dist dist
