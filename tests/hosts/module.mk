# SPDX-License-Identifier: Apache-2.0
#
# The test hosts, and what is run on them. stdout is the container's or the command's own; what
# building says goes to stderr.

DEMO_IMAGE := $(BUILD)/qemubox-demo.tar
LARGE_IMAGE := $(BUILD)/large/1.tar

.PHONY: deps host image others toolkit run shell
deps:
	@tests/hosts/deps.sh

host: deps
	@tests/hosts/root.sh

# QEMU 7.2 and 10, and containerd 1.7, beside the host's own.
others: deps
	@for name in $$(tests/hosts/other.sh --names); do tests/hosts/other.sh "$$name" || exit; done

image: $(DEMO_IMAGE) $(LARGE_IMAGE)
$(DEMO_IMAGE): tests/hosts/image.sh tests/hosts/image.packages
	@mkdir -p $(@D)
	@tests/hosts/image.sh $@ >&2

$(LARGE_IMAGE): tests/hosts/large.sh
	@tests/hosts/large.sh $(@D) >&2

# A make of its own, because what this one has read may be from before deps.
toolkit: deps
	@$(MAKE) --no-print-directory programs guest >&2

# CMD and IMAGE go to the scripts as they were typed, `$` and quotes and all.
run shell: export QBX_CMD := $(value CMD)
run: export QBX_IMAGE := $(value IMAGE)
unexport CMD IMAGE

#   make run [CMD='...'] [IMAGE=archive.tar] [QBX_RUNTIME=...]
run: toolkit $(if $(value IMAGE),,$(DEMO_IMAGE))
	@exec tests/hosts/direct.sh tests/hosts/run.sh 5< "$${QBX_IMAGE:-$(DEMO_IMAGE)}"

#   make shell [CMD='...']    make -s shell CMD='...' > out    (2 for any failure: that is make)
shell: toolkit
	@exec tests/hosts/direct.sh tests/hosts/shell.sh
