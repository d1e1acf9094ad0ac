# SPDX-License-Identifier: Apache-2.0
# PID 1 of the guest: static, because it is alone in the initrd until it has mounted something.
PROGRAM_NAMES += qbx-init
qbx-init_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard qbx-init/*.c))
qbx-init_CPPFLAGS := $(shell $(PKG_CONFIG) --cflags libnl-route-3.0)
qbx-init_LDFLAGS := -static
qbx-init_LIBS := $(shell $(PKG_CONFIG) --static --libs libprotobuf-c jansson libnl-route-3.0 libnl-3.0)
