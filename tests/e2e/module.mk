# SPDX-License-Identifier: Apache-2.0
# What tests of a whole VM need beside the toolkit.
E2E_PROGRAMS := $(BUILD)/tests/e2e/guestctl $(BUILD)/tests/e2e/shimctl $(BUILD)/tests/e2e/vsockflood \
	$(BUILD)/tests/e2e/fileops

$(BUILD)/tests/e2e/%: $(BUILD)/tests/e2e/%.o $(BUILD)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(UNIT_LIBS)

# Run in a container.
$(BUILD)/tests/e2e/vsockflood $(BUILD)/tests/e2e/fileops: $(BUILD)/tests/e2e/%: $(BUILD)/tests/e2e/%.o
	$(call say,LD,$@)
	$(Q)$(CC) -static $(ALL_LDFLAGS) -o $@ $^

.PHONY: e2e-programs
e2e-programs: $(E2E_PROGRAMS)
