# SPDX-License-Identifier: Apache-2.0
#
# qemubox: containers in QEMU microVMs.  See HACKING.md.
#
#   make            build the five programs            make guest   kernel and initrd
#   make run        a container from nothing to output  make shell   a shell in the test host
#   make test       every test there is                 make lint    static checks
#   make bench      what a box costs, beside runc
#   make test-kvm   the end-to-end tests in a virtual machine with KVM
#   make SANITIZE=address,undefined BUILD=build-san     an instrumented build

PREFIX ?= /usr
SYSCONFDIR ?= /etc
DESTDIR ?=
BUILD ?= build
VERSION := 0.1.0

CC ?= gcc
PKG_CONFIG ?= pkg-config
INSTALL ?= install
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
	-Wundef -Wpointer-arith -Wwrite-strings -Werror=implicit-function-declaration
HARDENING := -fstack-protector-strong -fstack-clash-protection -fcf-protection
ifeq ($(SANITIZE),)
HARDENING += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
SANFLAGS :=
else
SANFLAGS := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
endif
CPPFLAGS += -D_GNU_SOURCE -DQBX_VERSION='"$(VERSION)"' -Ilib -I$(BUILD)/proto
ALL_CFLAGS := -std=gnu17 $(WARNINGS) $(HARDENING) $(SANFLAGS) -ffunction-sections -fdata-sections \
	-fmacro-prefix-map=$(BUILD)/=build/ -MMD -MP $(CFLAGS)
ALL_LDFLAGS := -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS) $(LDFLAGS)

# Quiet lines unless V=1, and none at all with make -s.
Q := $(if $(V),,@)
say = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@printf '  %-7s %s\n' $(1) $(2) >&2)

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

all: programs

# Order matters for the first two: prerequisites are expanded as they are read.
include proto/module.mk lib/module.mk
include $(filter-out proto/% lib/%,$(wildcard */module.mk tests/*/module.mk))

# ---- objects ----

$(BUILD)/%.o: %.c | proto-headers
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $($(firstword $(subst /, ,$*))_CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/proto/%.o: $(BUILD)/proto/%.c
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Wno-shadow -c -o $@ $<

# program NAME: links $(NAME_OBJS) and lib.a into $(BUILD)/bin/NAME, with $(NAME_LIBS)
define program
PROGRAMS += $$(BUILD)/bin/$(1)
$$(BUILD)/bin/$(1): $$($(1)_OBJS) $$(BUILD)/lib.a
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) $$($(1)_LDFLAGS) -o $$@ $$^ $$($(1)_LIBS)
-include $$($(1)_OBJS:.o=.d)
endef

$(foreach p,$(PROGRAM_NAMES),$(eval $(call program,$(p))))

-include $(LIB_OBJS:.o=.d)

.PHONY: all programs host-programs clean install uninstall
programs: $(PROGRAMS)
host-programs: $(HOST_PROGRAMS:%=$(BUILD)/bin/%)

clean:
	rm -rf $(BUILD)

# ---- install ----

# The guest is the same for an instrumented build, so it is made once, beside the plain one.
GUEST_BUILD := $(BUILD:%-san=%)
MAN_PAGES := $(wildcard man/*.[1-8])

install: host-programs
	$(call say,INSTALL,$(or $(DESTDIR),/))
	$(Q)$(INSTALL) -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/qemubox/kernel
	$(Q)$(INSTALL) -m 755 $(HOST_PROGRAMS:%=$(BUILD)/bin/%) bin/* $(DESTDIR)$(PREFIX)/bin/
	$(Q)[ ! -e $(GUEST_BUILD)/qemubox-guest.json ] || $(INSTALL) -m 644 \
		$(addprefix $(GUEST_BUILD)/,qemubox-kernel-x86_64 qemubox-initrd qemubox-guest.json) \
		$(DESTDIR)$(PREFIX)/share/qemubox/kernel/
	$(Q)for m in $(MAN_PAGES); do \
		$(INSTALL) -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m#man/} || exit; \
	done

uninstall:
	rm -f $(HOST_PROGRAMS:%=$(DESTDIR)$(PREFIX)/bin/%) $(addprefix $(DESTDIR)$(PREFIX)/,$(wildcard bin/*))
	for m in $(MAN_PAGES); do rm -f $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m#man/}; done
	rm -rf $(DESTDIR)$(PREFIX)/share/qemubox
