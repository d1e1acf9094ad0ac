/* SPDX-License-Identifier: Apache-2.0 */
/* power.c - the end of the machine */
#include <sys/reboot.h>
#include <unistd.h>

#include "init.h"
#include "log.h"

/*
 * With ACPI the power can be switched off. Without it (microvm, acpi=off) Linux would halt and
 * leave QEMU running, so the machine is reset, which ends a QEMU that was started with -no-reboot.
 */
_Noreturn void power_off(void)
{
	reboot(access("/sys/firmware/acpi", F_OK) == 0 ? RB_POWER_OFF : RB_AUTOBOOT);
	for (;;) /* unless the kernel refused; PID 1 may not return */
		pause();
}

_Noreturn void die(const struct qbx_err *err)
{
	log_error("%s: powering off", err->msg);
	power_off();
}
