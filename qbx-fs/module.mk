# SPDX-License-Identifier: Apache-2.0
PROGRAM_NAMES += qbx-fs
HOST_PROGRAMS += qbx-fs
qbx-fs_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard qbx-fs/*.c))
qbx-fs_LIBS := $(shell $(PKG_CONFIG) --libs libprotobuf-c jansson libmd)
