#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A shell on a test host, for `make shell`: an interactive one, or one that runs QBX_CMD.
#
#   usage:   direct.sh tests/hosts/shell.sh
#   output:  the shell's own stdin, stdout, stderr and exit status
set -eu

[ -z "${QBX_CMD:-}" ] || exec /bin/sh -c "$QBX_CMD"
exec bash -i
