# SPDX-License-Identifier: Apache-2.0
# test: everything, on a plain and on an instrumented build.
SAN_BUILD := $(BUILD)-san

.PHONY: test lint host-programs san-build
host-programs: $(HOST_PROGRAMS:%=$(BUILD)/bin/%)

san-build:
	$(Q)$(MAKE) --no-print-directory BUILD=$(SAN_BUILD) SANITIZE=address,undefined \
		host-programs unit-tests

lint: proto-headers
	tests/lint.sh

test: deps all guest host image unit-tests e2e-programs san-build fuzz-targets
	tests/run $(BUILD) $(SAN_BUILD) $(FUZZ_BUILD)
