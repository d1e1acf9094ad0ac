# SPDX-License-Identifier: Apache-2.0
# PID 1 of the guest: static, because it is alone in the initrd until it has mounted something.
# It speaks rtnetlink itself: a few messages do not need a library that is larger than this program.
PROGRAM_NAMES += qbx-init
qbx-init_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard qbx-init/*.c))
# No build id: it would stand for the debugging information too, which names the directory of the build.
qbx-init_LDFLAGS := -static -Wl,--build-id=none
qbx-init_LIBS := $(shell $(PKG_CONFIG) --static --libs libprotobuf-c jansson)
