# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# A containerd for the test hosts, with the erofs snapshotter and differ as its defaults. To be
# sourced inside a host. Where there is systemd it is the distribution's service, with its log in the
# journal; elsewhere a process of ours, with its log in /var/log/containerd.log. Its socket is the
# usual one.
#
#   containerd_start   returns when containerd is ready to serve, or fails and shows its log;
#                      sets containerd_pid
#   containerd_stop    returns when it has ended; shims and their containers go on
#   containerd_log     prints what it, and its shims, have logged

containerd_log_file=/var/log/containerd.log

containerd_config() {
	cat <<-'EOT'
		version = 3
		# No Kubernetes here, and less to start.
		disabled_plugins = [
		  'io.containerd.cri.v1.images',
		  'io.containerd.cri.v1.runtime',
		  'io.containerd.grpc.v1.cri',
		  'io.containerd.nri.v1.nri',
		  'io.containerd.podsandbox.controller.v1.podsandbox',
		  'io.containerd.grpc.v1.sandbox-controllers',
		]

		[plugins.'io.containerd.service.v1.diff-service']
		  default = ['erofs', 'walking']

		[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]
		  platform = 'linux/amd64'
		  snapshotter = 'erofs'
		  differ = 'erofs'
	EOT
}

containerd_start() {
	mkdir -p /etc/containerd
	containerd_config > /etc/containerd/config.toml
	if [ -d /run/systemd/system ]; then
		start_service
	else
		start_process
	fi
}

containerd_stop() {
	if [ -d /run/systemd/system ]; then
		systemctl stop containerd
	else
		kill "$containerd_pid"
		wait "$containerd_pid" || :
	fi
}

containerd_log() {
	if [ -d /run/systemd/system ]; then
		journalctl --sync
		journalctl --unit=containerd --output=cat --no-pager
	else
		cat "$containerd_log_file"
	fi
}

# It tells systemd when it is ready.
start_service() {
	if ! systemctl start containerd; then
		containerd_log >&2
		return 1
	fi
	containerd_pid=$(systemctl show --property=MainPID --value containerd)
}

# The log goes through a FIFO, so that waiting for a line of it, or for its end, is a read.
start_process() {
	mkfifo /run/containerd.log
	containerd > /run/containerd.log 2>&1 < /dev/null &
	containerd_pid=$!
	exec 7< /run/containerd.log
	rm /run/containerd.log
	while IFS= read -r line <&7; do
		printf '%s\n' "$line"
		case $line in *'containerd successfully booted'*) break ;; esac
	done >> "$containerd_log_file"
	cat <&7 >> "$containerd_log_file" &
	exec 7<&-
	case ${line:-} in *'containerd successfully booted'*) return ;; esac
	cat "$containerd_log_file" >&2
	return 1
}
