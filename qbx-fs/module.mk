# SPDX-License-Identifier: Apache-2.0
PROGRAM_NAMES += qbx-fs
HOST_PROGRAMS += qbx-fs
qbx-fs_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard qbx-fs/*.c))
qbx-fs_LIBS := $(shell $(PKG_CONFIG) --libs libprotobuf-c jansson libmd)

# The same program for tests/cli/fs-kill.bats, which has it killed at each step, also where lib/io.c
# takes several: see step.h.
FS_STEPS := $(BUILD)/tests/fs-steps
FS_STEPS_OBJS := $(patsubst %.c,$(FS_STEPS)/objs/%.o,$(wildcard qbx-fs/*.c) lib/io.c)

$(FS_STEPS)/objs/%.o: %.c | proto-headers
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DQBX_STEPS $(ALL_CFLAGS) -c -o $@ $<

$(FS_STEPS)/qbx-fs: $(FS_STEPS_OBJS) $(BUILD)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(qbx-fs_LIBS)

-include $(FS_STEPS_OBJS:.o=.d)

unit-tests: $(FS_STEPS)/qbx-fs
