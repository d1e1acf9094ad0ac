# SPDX-License-Identifier: Apache-2.0
# One libFuzzer program a decoder, on a library of its own that clang instruments.
FUZZ_SECONDS ?= 60
FUZZ_BUILD := $(BUILD)-fuzz
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,$(FUZZ_BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SANITIZE := address,undefined

.PHONY: fuzz fuzz-targets fuzz-lib
fuzz-lib:
	$(Q)$(MAKE) --no-print-directory BUILD=$(FUZZ_BUILD) CC=clang \
		SANITIZE=$(FUZZ_SANITIZE),fuzzer-no-link $(FUZZ_BUILD)/lib.a

$(FUZZ_BUILD)/fuzz_%: tests/fuzz/fuzz_%.c fuzz-lib
	$(call say,FUZZ,$@)
	$(Q)clang -std=gnu17 -g -O1 $(CPPFLAGS) -I$(FUZZ_BUILD)/proto $(tests_CPPFLAGS) -MMD -MF $@.d \
		-fsanitize=$(FUZZ_SANITIZE),fuzzer -fno-sanitize-recover=all \
		-o $@ $< $(FUZZ_BUILD)/lib.a $(UNIT_LIBS)

fuzz-targets: $(FUZZ_TARGETS)

fuzz: fuzz-targets
	for t in $(FUZZ_TARGETS); do tests/fuzz/run.sh $$t $(FUZZ_SECONDS) || exit 1; done
