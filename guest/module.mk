# SPDX-License-Identifier: Apache-2.0
#
# The guest: a kernel, from a cache outside the checkout, and an initrd.

KERNEL := $(BUILD)/qemubox-kernel-x86_64
INITRD := $(BUILD)/qemubox-initrd

.PHONY: guest $(KERNEL)
guest: $(KERNEL) $(INITRD)

# The script knows whether there is something to do.
$(KERNEL):
	@mkdir -p $(@D)
	@kernel=$$(guest/kernel.sh) && ln -sf "$$kernel" $@

$(INITRD): $(BUILD)/bin/qbx-init guest/initrd.sh guest/crun.sh
	$(call say,INITRD,$@)
	$(Q)guest/initrd.sh $< $@
