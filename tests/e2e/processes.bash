# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For tests that leave no process behind. To be loaded.

# vm_processes [PATTERN]: the live processes of VMs, or of programs named like PATTERN, a line each. Those
# that have ended do not count, whether PID 1 has buried them yet or not.
vm_processes() {
	pgrep -a -r D,R,S,T,t,I "${1:-qemu|vhost-device|virtiofsd}" || :
}
