# SPDX-License-Identifier: Apache-2.0
#
# The guest: a kernel, from a cache outside the checkout, an initrd, and a manifest that says that
# the two belong together.

KERNEL := $(BUILD)/qemubox-kernel-x86_64
INITRD := $(BUILD)/qemubox-initrd
MANIFEST := $(BUILD)/qemubox-guest.json

.PHONY: guest guest-check $(KERNEL)
guest: $(MANIFEST)

# The script knows whether there is something to do.
$(KERNEL):
	@mkdir -p $(@D)
	@kernel=$$(guest/kernel.sh) && ln -sf "$$kernel" $@

$(INITRD): $(BUILD)/bin/qbx-init guest/initrd.sh guest/crun.sh
	$(call say,INITRD,$@)
	$(Q)guest/initrd.sh $< $@

$(MANIFEST): $(KERNEL) $(INITRD) guest/manifest.sh
	$(Q)guest/manifest.sh $(KERNEL) $(INITRD) $@

# By hand, as it takes 25 CPU minutes: are kernel and crun the same when they are built elsewhere?
guest-check:
	guest/check.sh
