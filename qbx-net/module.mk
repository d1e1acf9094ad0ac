# SPDX-License-Identifier: Apache-2.0
PROGRAM_NAMES += qbx-net
HOST_PROGRAMS += qbx-net
qbx-net_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard qbx-net/*.c))
qbx-net_LIBS := $(shell $(PKG_CONFIG) --libs libprotobuf-c jansson libnl-route-3.0 libnl-3.0)
qbx-net_CPPFLAGS := $(shell $(PKG_CONFIG) --cflags libnl-route-3.0)
