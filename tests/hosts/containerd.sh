# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# A containerd for the test hosts: the distribution's, with the erofs snapshotter and differ as its
# defaults, or with QBX_CONTAINERD=1.7 that one, unpacked by other.sh, with overlayfs, as it has none
# other that would do. To be sourced inside a host. Where there is systemd it is a service, with its log
# in the journal; elsewhere a process of ours, with its log in /var/log/containerd.log. Its socket is
# the usual one.
#
#   containerd_snapshotter   the one to use; ctr, in PATH, is of the same version
#   containerd_start   returns when containerd is ready to serve, or fails and shows its log;
#                      sets containerd_pid. $containerd_log_level says how much it logs. It, and so
#                      its shims, have what is in our environment of QEMUBOX_*
#   containerd_stop    returns when it has ended; shims and their containers go on
#   containerd_kill    the same, by SIGKILL
#   containerd_log     prints what it, and its shims, have logged

containerd_log_file=/var/log/containerd.log
containerd_pid_file=/run/containerd.pid

# shellcheck disable=SC2034 # the snapshotter is for who sources this
case ${QBX_CONTAINERD:-} in
'')
	containerd_dir=/usr/bin
	containerd_snapshotter=erofs
	;;
*)
	containerd_dir=/opt/containerd/$QBX_CONTAINERD
	containerd_snapshotter=overlayfs
	PATH=$containerd_dir:${PATH#"$containerd_dir:"}
	;;
esac

containerd_config_2_1() {
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

containerd_config_1_7() {
	cat <<-'EOT'
		version = 2
		disabled_plugins = [
		  'io.containerd.grpc.v1.cri',
		  'io.containerd.nri.v1.nri',
		  'io.containerd.grpc.v1.sandbox-controllers',
		]
	EOT
}

containerd_config() {
	case ${QBX_CONTAINERD:-} in
	'') containerd_config_2_1 ;;
	*) containerd_config_1_7 ;;
	esac
}

containerd_start() {
	mkdir -p /etc/containerd
	{
		containerd_config
		printf '\n[debug]\n  level = "%s"\n' "${containerd_log_level:-info}"
	} > /etc/containerd/config.toml
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
		end_process TERM
	fi
}

containerd_kill() {
	if [ -d /run/systemd/system ]; then
		systemctl kill --kill-whom=main --signal=KILL containerd
		systemctl stop containerd # nor is it to come back by itself
	else
		end_process KILL
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
	mkdir -p /run/systemd/system/containerd.service.d
	{
		printf '[Service]\nExecStart=\nExecStart=%s/containerd\n' "$containerd_dir"
		env | sed -n 's/^QEMUBOX_.*/Environment="&"/p'
	} > /run/systemd/system/containerd.service.d/qemubox.conf
	systemctl daemon-reload
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
	echo "$containerd_pid" > "$containerd_pid_file"
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

# end_process SIGNAL — it need not be a child of this shell.
end_process() {
	kill "-$1" "$(cat "$containerd_pid_file")"
	pidwait --pidfile "$containerd_pid_file" || :
}
