# SPDX-License-Identifier: Apache-2.0
PROGRAM_NAMES += qbx-vm
HOST_PROGRAMS += qbx-vm
qbx-vm_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard qbx-vm/*.c))
qbx-vm_LIBS := $(shell $(PKG_CONFIG) --libs libprotobuf-c jansson libmd)
