# Everything that a fresh Debian 12 needs, then the job. `make` alone says what there is.
#
# Builds are incremental and stay in build/; compiler results are kept by ccache outside of the tree (CCACHE_DIR, by
# default ~/.cache/ccache). JOBS limits how many compilers run at once.

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local

.PHONY: help build cross-arm64 demo test test-lab fuzz bench format tidy install clean setup

help:
	@echo 'make demo      install what the build needs, build, and show the main job on this machine (under 5 minutes)'
	@echo 'make test      install what the tests need, build, run every test; the last line is the count'
	@echo 'make test-lab  tests in emulated machines of other CPU models, x86-64 and arm64 (docs/lab.md); part of make test'
	@echo 'make cross-arm64  the release build for arm64: build/aarch64/src/cli/cpulevel'
	@echo 'make build     the release build: build/release/src/cli/cpulevel'
	@echo 'make fuzz      every fuzz target for FUZZ_SECONDS (60) each'
	@echo 'make bench     the benchmarks'
	@echo 'make format    clang-format over our sources      make tidy   clang-tidy over them'
	@echo 'make install   to PREFIX (/usr/local), under DESTDIR where that is set'
	@echo 'make clean     remove build/'

setup:
	@tools/setup.sh build

build: setup
	@tools/build.sh release $(JOBS)

demo:
	@tools/setup.sh build demo
	@tools/build.sh release $(JOBS) cpulevel
	@tools/demo.sh

test:
	@tools/setup.sh build test lab
	@tools/test.sh $(JOBS)

cross-arm64:
	@tools/setup.sh build lab
	@tools/build.sh aarch64 $(JOBS)

test-lab: build cross-arm64
	@tests/lab/run_lab.py --require --build x86_64:build/release --build aarch64:build/aarch64

fuzz:
	@tools/setup.sh build test
	@tools/build.sh fuzz $(JOBS) $$(sed -n 's/^cpulevel_fuzz(\([a-z_0-9]*\) .*/fuzz_\1/p' tests/fuzz/CMakeLists.txt)
	@tools/fuzz.sh build/fuzz $(or $(FUZZ_SECONDS),60)

bench:
	@tools/setup.sh build bench
	@tools/build.sh release $(JOBS)
	build/release/bench/bench_functions
	/usr/bin/python3 bench/paired.py --cpulevel build/release/src/cli/cpulevel

format:
	@tools/setup.sh lint
	@git ls-files 'src/*.h' 'src/*.cpp' 'tests/*.h' 'tests/*.cpp' 'bench/*.h' 'bench/*.cpp' | xargs clang-format-19 -i

tidy:
	@tools/setup.sh build lint
	@tools/tidy.sh $(JOBS)

install: build
	DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX)

clean:
	rm -rf build
