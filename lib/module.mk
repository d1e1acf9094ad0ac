# SPDX-License-Identifier: Apache-2.0
# What two or more programs share, as one archive; the linker takes what each needs.
LIB_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard lib/*.c))

$(BUILD)/lib.a: $(LIB_OBJS) $(PROTO_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^
