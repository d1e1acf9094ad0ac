# SPDX-License-Identifier: Apache-2.0
PROGRAM_NAMES += qbx-net
HOST_PROGRAMS += qbx-net
qbx-net_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard qbx-net/*.c))
qbx-net_LIBS := $(shell $(PKG_CONFIG) --libs libprotobuf-c jansson libnl-route-3.0 libnl-3.0)
qbx-net_CPPFLAGS := $(shell $(PKG_CONFIG) --cflags libnl-route-3.0)

# The same program for tests/cli/net-kill.bats, which has it killed at each step: see step.h.
NET_STEPS := $(BUILD)/tests/net-steps
NET_STEPS_OBJS := $(patsubst qbx-net/%.c,$(NET_STEPS)/%.o,$(wildcard qbx-net/*.c))

$(NET_STEPS)/%.o: qbx-net/%.c | proto-headers
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DQBX_STEPS $(qbx-net_CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

$(NET_STEPS)/qbx-net: $(NET_STEPS_OBJS) $(BUILD)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(qbx-net_LIBS)

-include $(NET_STEPS_OBJS:.o=.d)

unit-tests: $(NET_STEPS)/qbx-net
