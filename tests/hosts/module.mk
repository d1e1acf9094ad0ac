# SPDX-License-Identifier: Apache-2.0
#
# The test hosts, and what is run on them. stdout is the container's or the command's own; what
# building says goes to stderr.

DEMO_IMAGE := $(BUILD)/qemubox-demo.tar

.PHONY: deps host image toolkit run shell
deps:
	@tests/hosts/deps.sh

host: deps
	@tests/hosts/root.sh

image: $(DEMO_IMAGE)
$(DEMO_IMAGE): tests/hosts/image.sh tests/hosts/image.packages
	@mkdir -p $(@D)
	@tests/hosts/image.sh $@ >&2

# A make of its own, because what this one has read may be from before deps.
toolkit: deps
	@$(MAKE) --no-print-directory programs guest >&2

# CMD goes to the script as it was typed, `$` and all.
run shell: export QBX_CMD := $(value CMD)
unexport CMD

#   make run [CMD='...'] [IMAGE=archive.tar] [QBX_RUNTIME=...]
run: toolkit $(if $(IMAGE),,$(DEMO_IMAGE))
	@QBX_IMAGE='$(IMAGE)' tests/hosts/direct.sh tests/hosts/run.sh 5< '$(or $(IMAGE),$(DEMO_IMAGE))'

#   make shell [CMD='...']    make -s shell CMD='...' > out    (2 for any failure: that is make)
shell: toolkit
	@tests/hosts/direct.sh tests/hosts/shell.sh
