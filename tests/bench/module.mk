# SPDX-License-Identifier: Apache-2.0
# What a box costs, beside runc. No test: on a busy machine the figures move.
HOST ?= direct
BENCH_RUNS ?= 30
BENCH_PARTS ?=

.PHONY: bench
#   make bench [HOST=direct|kvm] [BENCH_RUNS=30] [BENCH_PARTS='instructions runs share network storage idle']
bench: toolkit host image
	@tests/bench/bench.sh $(HOST) $(BENCH_RUNS) $(DEMO_IMAGE) \
		$(BUILD)/bench/$(HOST)-$$(date -u +%Y%m%dT%H%M%S).jsonl $(BENCH_PARTS)
