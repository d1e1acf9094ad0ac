# SPDX-License-Identifier: Apache-2.0
# Installed under the name that containerd derives from io.containerd.qemubox.v1.
PROGRAM_NAMES += containerd-shim-qemubox-v1
HOST_PROGRAMS += containerd-shim-qemubox-v1
containerd-shim-qemubox-v1_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard qbx-shim/*.c))
containerd-shim-qemubox-v1_LIBS := $(shell $(PKG_CONFIG) --libs libprotobuf-c jansson libmd)
