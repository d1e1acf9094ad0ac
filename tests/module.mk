# SPDX-License-Identifier: Apache-2.0
# test: everything, on a plain and on an instrumented build, and a part of tests/e2e in the kvm host.
# test-kvm: all of tests/e2e in the kvm host.
# test-1.7: all that speaks to containerd, on 1.7; a part of it is in test.
SAN_BUILD := $(BUILD)-san

.PHONY: test test-kvm test-1.7 lint test-programs san-build

# A make of its own, because what this one has read may be from before deps.
test: deps
	$(Q)$(MAKE) --no-print-directory test-programs host image others
	tests/run $(BUILD) $(SAN_BUILD) $(FUZZ_BUILD)

test-kvm: deps
	$(Q)$(MAKE) --no-print-directory programs guest e2e-programs host image
	QBX_KVM_TAG= prove --verbose --timer --exec 'tests/one $(BUILD)' tests/suite

SPEAK_TO_CONTAINERD := exec gc network oom pause qbx refusals restart rpc shim stdio trees tty

test-1.7: deps
	$(Q)$(MAKE) --no-print-directory programs guest e2e-programs host image others
	QBX_CONTAINERD=1.7 prove --timer --jobs 2 --exec 'tests/one $(BUILD)' $(SPEAK_TO_CONTAINERD:%=tests/e2e/%.bats)

test-programs: programs guest unit-tests e2e-programs san-build fuzz-targets

san-build:
	$(Q)$(MAKE) --no-print-directory BUILD=$(SAN_BUILD) SANITIZE=address,undefined \
		host-programs unit-tests

lint: proto-headers
	tests/lint.sh
