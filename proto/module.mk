# SPDX-License-Identifier: Apache-2.0
# Wire definitions: ours, and the two well-known types that they use.
PROTO_NAMES := ttrpc task metrics guest shim google/protobuf/any google/protobuf/timestamp
PROTO_WELL_KNOWN := $(shell $(PKG_CONFIG) --variable=includedir protobuf 2>/dev/null || echo /usr/include)
PROTO_SRCS := $(PROTO_NAMES:%=$(BUILD)/proto/%.pb-c.c)
PROTO_OBJS := $(PROTO_SRCS:.c=.o)

.PHONY: proto-headers
proto-headers: $(PROTO_SRCS)

$(BUILD)/proto/%.pb-c.c: proto/%.proto
	$(call say,PROTO,$<)
	$(Q)mkdir -p $(BUILD)/proto
	$(Q)protoc-c -Iproto -I$(PROTO_WELL_KNOWN) --c_out=$(BUILD)/proto $<

$(BUILD)/proto/google/protobuf/%.pb-c.c: $(PROTO_WELL_KNOWN)/google/protobuf/%.proto
	$(call say,PROTO,$(notdir $<))
	$(Q)mkdir -p $(BUILD)/proto
	$(Q)protoc-c -I$(PROTO_WELL_KNOWN) --c_out=$(BUILD)/proto $<
