# SPDX-License-Identifier: Apache-2.0
# One cmocka program a file. A test may include the .c of the program it tests.
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_LIBS := $(shell $(PKG_CONFIG) --libs cmocka libprotobuf-c jansson libmd libnl-route-3.0 libnl-3.0)
tests_CPPFLAGS := -I. -Itests $(shell $(PKG_CONFIG) --cflags libnl-route-3.0)

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(UNIT_LIBS)

-include $(UNIT_TESTS:=.d)

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS)
