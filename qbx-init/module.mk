# SPDX-License-Identifier: Apache-2.0
# PID 1 of the guest: static, because it is alone in the initrd until it has mounted something.
# It speaks rtnetlink itself: a few messages do not need a library that is larger than this program.
PROGRAM_NAMES += qbx-init
qbx-init_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard qbx-init/*.c))
qbx-init_LDFLAGS := -static
qbx-init_LIBS := $(shell $(PKG_CONFIG) --static --libs libprotobuf-c jansson)
