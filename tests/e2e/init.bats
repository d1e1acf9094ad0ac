#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A guest seen from the host's side of the guest protocol, without the toolkit between: guestctl
# answers its hello and makes its calls.
# shellcheck disable=SC2154 # bats sets them
# shellcheck disable=SC2030,SC2031 # each test is a process
# shellcheck disable=SC2016 # the guest's shell expands it

bats_require_minimum_version 1.5.0

kernel_dir=${QBX_KERNEL_DIR:-/usr/share/qemubox/kernel}
# What a box has: one image layer below, memory above.
layers=("erofs,disk:layer0,lower,ro" "tmpfs,tmpfs,rw,mode=0755"
	"overlay,overlay,rootfs,lowerdir=lower,upperdir=rw/upper,workdir=rw/work")

guestctl() {
	timeout 180 "$QBX_BUILD/tests/e2e/guestctl" "$@"
}

# guest_start DIR BOOT.json [QEMU ARG]... — a guest in the background, as far as its hello.
guest_start() {
	local dir=$1 boot=$2 kernel initrd accel=${QEMUBOX_ACCEL:-kvm} cpu=host
	shift 2
	[ "$accel" = kvm ] || cpu=max
	kernel=$kernel_dir/qemubox-kernel-x86_64
	initrd=$kernel_dir/qemubox-initrd
	mkdir -p "$dir/vsock"
	vhost-device-vsock --vm "guest-cid=3,socket=$dir/vhost.sock,uds-path=$dir/vsock/vsock.sock" \
		> "$dir/vhost.log" 2>&1 3>&- &
	echo $! > "$dir/vhost.pid"
	"$QBX_BUILD/tests/e2e/guestctl" boot "$dir" 9000 < "$boot" > "$dir/hello.json" 2> "$dir/boot.log" 3>&- &
	local hello=$!
	until [ -S "$dir/vhost.sock" ] && [ -S "$dir/vsock/vsock.sock_9000" ]; do :; done
	qemu-system-x86_64 -M microvm,acpi=off,pit=on,pic=on,memory-backend=mem -accel "$accel" -cpu $cpu \
		-m 512 -smp 1 -object memory-backend-memfd,id=mem,size=512M,share=on \
		-nodefaults -no-user-config -nographic -no-reboot -kernel "$kernel" -initrd "$initrd" \
		-append "console=hvc0 loglevel=4 panic=-1 reboot=t qbx.port=9000" \
		-chardev "file,id=con,path=$dir/console.log" \
		-device virtio-serial-device -device virtconsole,chardev=con \
		-chardev "socket,id=vs,path=$dir/vhost.sock" -device vhost-user-vsock-device,chardev=vs \
		"$@" > "$dir/qemu.log" 2>&1 3>&- &
	echo $! > "$dir/qemu.pid"
	wait $hello
}

# guest_end DIR — wait until its QEMU has ended by itself; 60 seconds at most.
guest_end() {
	timeout 60 tail --pid="$(cat "$1/qemu.pid")" -f /dev/null
	kill "$(cat "$1/vhost.pid")" 2> /dev/null || :
}

# image OUT — a small root file system.
image() {
	local tree=$BATS_FILE_TMPDIR/tree
	mkdir -p "$tree/bin" "$tree/proc" "$tree/sys" "$tree/dev" "$tree/tmp" "$tree/run" "$tree/etc"
	cp "$(command -v busybox)" "$tree/bin/"
	for applet in sh cat echo env id pwd ps ls sleep cksum dd tr wc touch uname hostname ip true \
		stty tty grep stat mkdir mknod head cut; do
		ln -s busybox "$tree/bin/$applet"
	done
	chmod 1777 "$tree/tmp"
	mkdir "$tree/usr" "$tree/usr/share"
	echo secret > "$tree/etc/secret"
	mkfs.erofs --quiet "$1" "$tree"
}

# spec JQ-PROGRAM CMD... — a specification, changed.
spec() {
	local change=$1
	shift
	jq -n '{ociVersion: "1.0.2", hostname: "box", root: {path: "rootfs"},
		process: {args: $ARGS.positional, cwd: "/", env: ["PATH=/bin"], user: {uid: 0, gid: 0}},
		mounts: [{destination: "/proc", type: "proc", source: "proc"},
			{destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"]},
			{destination: "/dev/pts", type: "devpts", source: "devpts",
				options: ["newinstance", "ptmxmode=0666", "mode=0620"]},
			{destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"]},
			{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"]}],
		linux: {namespaces: ([["pid", "ipc", "uts", "mount", "network"][] | {type: .}])}}
		| '"$change" --args -- "$@"
}

# box ID [-c JQ-PROGRAM] CMD... — run it with its own stdio; each id has a file of its own.
box() {
	local id=$1 change=.
	shift
	if [ "$1" = -c ]; then
		change=$2
		shift 2
	fi
	spec "$change" "$@" > "$BATS_TEST_TMPDIR/$id.json"
	guestctl run "$vm" "$id" "$BATS_TEST_TMPDIR/$id.json" "${layers[@]}"
}

# process CMD... — a process, for an exec.
process() {
	spec '.process' "$@"
}

# until_in FILE TEXT — until a file has a text; 60 seconds at most.
until_in() {
	timeout 60 sh -c 'until grep -q "$2" "$1"; do :; done' - "$1" "$2"
}

# on_terminal ID [-c JQ-PROGRAM] CMD... — box, in the background, with a terminal whose input is typed into
# descriptor 4 and whose output goes to ID.out.
on_terminal() {
	[ -p "$1.in" ] || mkfifo "$1.in"
	GUESTCTL_TERMINAL=1 box "$@" < "$1.in" > "$1.out" 2> "$1.err" 3>&- &
	exec 4> "$1.in"
}

# fails CODE GUESTCTL-ARG... — a call that is answered with an error.
fails() {
	local code=$1
	shift
	run guestctl "$@"
	[ "$status" -eq 99 ]
	[[ $output == "guestctl: code $code: "* ]]
}

# metric ID NAME — a number of a container's metrics.
metric() {
	guestctl metrics "$vm" "$1" | sed -n "s/^$2=//p"
}

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	QBX_BUILD=$(realpath "${QBX_BUILD:-build}")
	vm=$BATS_FILE_TMPDIR/vm
	export QBX_BUILD vm
	image "$BATS_FILE_TMPDIR/image.erofs"
	ip tuntap add qbxtest mode tap
	ip link set qbxtest up
	ip addr add 192.0.2.1/24 dev qbxtest
	cat > "$BATS_FILE_TMPDIR/boot.json" <<-'EOT'
		{"hostname": "demo", "nameservers": ["192.0.2.1"], "search": ["example.org"], "links": [{
			"name": "lan0", "mac": "02:00:00:00:00:01", "mtu": 1400,
			"addresses": ["192.0.2.2/24", "2001:db8::2/64"],
			"neighbours": [{"address": "192.0.2.9", "mac": "02:00:00:00:00:09"},
				{"address": "2001:db8::9", "mac": "02:00:00:00:00:09"}],
			"routes": [{"dst": "0.0.0.0/0", "gw": "198.51.100.1"}, {"dst": "198.51.100.1/32"},
				{"dst": "2001:db8:7::/48"}, {"dst": "::/0", "gw": "2001:db8::1"}]}]}
	EOT
	guest_start "$vm" "$BATS_FILE_TMPDIR/boot.json" \
		-drive "if=none,id=d0,file=$BATS_FILE_TMPDIR/image.erofs,format=raw,readonly=on" \
		-device virtio-blk-device,drive=d0,serial=layer0 \
		-netdev tap,id=n0,ifname=qbxtest,script=no,downscript=no \
		-device virtio-net-device,netdev=n0,mac=02:00:00:00:00:01
}

teardown_file() {
	guestctl shutdown "$vm" || kill "$(cat "$vm/qemu.pid")"
	guest_end "$vm"
	ip link del qbxtest
}

@test "hello says what the guest is" {
	jq -e '.version == 1 and .cpus == 1 and .memory_kib > 400000 and .boot_us > 0 and
		(.kernel | startswith("6."))' "$vm/hello.json"
}

@test "output, errors and status of a container" {
	run --separate-stderr box io sh -c 'echo out; echo err >&2; exit 7'
	[ "$status" -eq 7 ]
	[ "$output" = out ]
	[ "$stderr" = err ]
}

@test "8 MiB of output arrive, every byte" {
	wanted=$(head -c 8388608 /dev/zero | tr '\0' x | cksum)
	got=$(box much sh -c 'dd if=/dev/zero bs=64k count=128 2> /dev/null | tr "\0" x' < /dev/null | cksum)
	[ "$got" = "$wanted" ]
}

@test "20 MiB through stdin and stdout, in two containers at once" {
	head -c 20971520 /dev/urandom > data
	box one cat < data > one.out 3>&- &
	box two cat < data > two.out
	wait $!
	cmp data one.out
	cmp data two.out
}

@test "environment, directory and user" {
	run box me -c '.process.env += ["FOO=bar baz"] | .process.cwd = "/tmp" |
		.process.user = {uid: 1000, gid: 1001, additionalGids: [7]}' \
		sh -c 'echo "$FOO"; pwd; id' < /dev/null
	[ "${lines[0]}" = "bar baz" ]
	[ "${lines[1]}" = /tmp ]
	[ "${lines[2]}" = "uid=1000 gid=1001 groups=7" ]
}

@test "hosts, hostname and resolv.conf: the guest's network and the container's name" {
	run box etc cat /etc/hostname /etc/resolv.conf /etc/hosts < /dev/null
	[ "${lines[0]}" = box ]
	[ "${lines[1]}" = 'nameserver 192.0.2.1' ]
	[ "${lines[2]}" = 'search example.org' ]
	[[ $output == *$'\n127.0.0.1\tlocalhost\n'*$'\n192.0.2.2\tbox'* ]]
	[[ $output == *$'\n2001:db8::2\tbox'* && $output != *fe80* ]]
	run box etc-ro -c '.root.readonly = true' sh -c 'cat /etc/hostname; touch /etc/x' < /dev/null
	[ "$status" -ne 0 ]
	[ "${lines[0]}" = box ]
}

@test "what a specification mounts there itself stays" {
	run box etc-own -c '.mounts += [{destination: "//etc/", type: "tmpfs", source: "tmpfs"}]' \
		ls /etc < /dev/null
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	run box etc-one -c '.mounts += [{destination: "/etc/hostname", type: "tmpfs", source: "tmpfs"}]' \
		sh -c 'ls /etc/hostname; cut -f2 /etc/hosts | head -1' < /dev/null
	[ "$output" = localhost ]
}

@test "files that are sent before a container, and what is no file" {
	echo first > one
	head -c 1048576 /dev/zero > most
	guestctl file "$vm" filed 7 640 most
	guestctl file "$vm" filed 7 4644 one # over it, and shorter
	run box filed -c '.mounts += [{destination: "/file", type: "bind", source: "files/7", options: ["bind", "ro"]}]' \
		sh -c 'stat -c "%a %u:%g" /file; cat /file; ! echo x > /file' < /dev/null
	[[ $output == $'4644 12:34\nfirst\n'* ]] || { echo "$output"; false; }
	printf x >> most
	run -99 guestctl file "$vm" other 63 600 most
	[[ $output == *'code 3: '*'more than 1048576'* ]]
	for bad in 'other 64 600' 'other 1 10000' '../../etc 1 600'; do
		# shellcheck disable=SC2086
		run -99 guestctl file "$vm" $bad one
		[[ $output == *'code 3: '* ]]
	done
	# nothing else of the bundle, nor of the guest, can be bound
	for source in files/../config.json volumes/0/../../rootfs /etc files rootfs; do
		refused 'mount on /x' -c ".mounts += [{destination: \"/x\", type: \"bind\", source: \"$source\", options: [\"bind\"]}]"
	done
}

@test "another network, while a container runs: addresses, MAC, routes, name servers" {
	mkfifo go
	box moved sh -c 'read -r _; ip -o link show dev lan1; ip -4 -o addr; ip route; cat /etc/hosts /etc/resolv.conf' \
		< go > moved.out 3>&- &
	box=$!
	exec 4> go
	cat > net.json <<-'EOT'
		{"links": [{"name": "lan1", "mac": "02:00:00:00:00:01", "set_mac": "02:00:00:00:00:77", "mtu": 1300,
			"addresses": ["192.0.2.77/24"], "routes": [{"dst": "0.0.0.0/0", "gw": "192.0.2.1"}]}],
			"nameservers": ["192.0.2.8"]}
	EOT
	guestctl network "$vm" - net.json
	guestctl network "$vm" - net.json # once more changes nothing
	ip neigh flush dev qbxtest
	ping -c 1 -W 5 192.0.2.77
	ip neigh show 192.0.2.77 | grep -q 02:00:00:00:00:77
	run ! ping -c 1 -W 1 192.0.2.2
	echo >&4
	exec 4>&-
	wait $box
	grep -q 'mtu 1300 .*02:00:00:00:00:77' moved.out
	grep -q 'lan1 .*192.0.2.77/24' moved.out
	grep -q 'default via 192.0.2.1 dev lan1' moved.out
	grep -q $'^192.0.2.77\tbox' moved.out
	grep -q 'nameserver 192.0.2.8' moved.out
	run ! grep -q '192\.0\.2\.2[/ \t]' moved.out
	for wrong in '.links[0].set_mac = "rubbish"' '.links[0].addresses = ["x"]' '.links[0].mac = "02:00:00:00:00:99"
		| del(.links[0].set_mac)'; do
		jq -c "$wrong" net.json > wrong.json
		run guestctl network "$vm" - wrong.json
		[ "$status" -eq 99 ]
	done
	jq '.links[0] += {mac: "02:00:00:00:00:77", set_mac: "02:00:00:00:00:01"}' \
		"$BATS_FILE_TMPDIR/boot.json" > back.json
	guestctl network "$vm" - back.json
	ping -c 1 -W 5 192.0.2.2
}

# network JQ-PROGRAM: the one of the boot message, changed, is the guest's from now on
network() {
	jq "$1" "$BATS_FILE_TMPDIR/boot.json" > set.json
	guestctl network "$vm" - set.json
}

@test "another network: nothing of the one before is left, of either family" {
	look='ip addr; ip route; ip -6 route; ip neigh show nud permanent'
	box before sh -c "$look" < /dev/null > before.out
	grep -q '^2001:db8:7::/48' before.out
	grep -q '^2001:db8::9 .*02:00:00:00:00:09' before.out
	network '.links[0] += {set_mac: "02:00:00:00:00:77", addresses: ["2001:db8:5::5/64"], routes: [],
		neighbours: []}'
	box other sh -c "$look" < /dev/null > other.out
	grep -q 'inet6 2001:db8:5::5/64' other.out
	grep -q 'inet6 fe80::ff:fe00:77/64' other.out
	run ! grep -E '192\.0\.|198\.51|2001:db8::|2001:db8:7|:00:09|fe80::ff:fe00:1/|default' other.out
	# IPv4 without an address
	network '.links[0] += {mac: "02:00:00:00:00:77", addresses: [], routes: [{dst: "198.51.100.0/24"}]}'
	box less sh -c "$look" < /dev/null > less.out
	grep -q '^198.51.100.0/24 dev lan0' less.out
	grep -q '^192.0.2.9 .*02:00:00:00:00:09' less.out
	run ! grep -E '2001:db8:5' less.out
	network '.links = []'
	box none sh -c "$look" < /dev/null > none.out
	run ! grep -E '192\.0\.|198\.51|2001|:00:09|fe80' none.out
	network '.links[0] += {mac: "02:00:00:00:00:77", set_mac: "02:00:00:00:00:01"}'
	box after sh -c "$look" < /dev/null > after.out
	diff <(sed 's/ tentative\| used .*//' before.out) <(sed 's/ tentative\| used .*//' after.out)
}

@test "another network: IPv6 stays off where a specification has it so" {
	all() {
		box "$1" -c ".linux.sysctl = {\"net.ipv6.conf.all.disable_ipv6\": \"$2\"}" true < /dev/null
	}
	all off 1
	network .
	run box without ip addr < /dev/null
	[[ $output == *192.0.2.2/24* && $output != *inet6* ]]
	all on 0
	network .
	run box with ip addr < /dev/null
	[[ $output == *192.0.2.2/24* && $output == *2001:db8::2/64* ]]
}

@test "another network: who knows another MAC for an address is told, in both families" {
	ip addr add 2001:db8::1/64 dev qbxtest nodad
	network '.links[0].set_mac = "02:00:00:00:00:77"'
	for address in 192.0.2.2 2001:db8::2; do
		ip neigh replace $address lladdr 02:00:00:00:00:77 nud reachable dev qbxtest
		ping -c 1 -W 5 $address
	done
	network '.links[0] += {mac: "02:00:00:00:00:77", set_mac: "02:00:00:00:00:01"}'
	for address in 192.0.2.2 2001:db8::2; do
		ping -c 5 -i 0.2 -W 1 $address
		ip neigh show $address | grep 02:00:00:00:00:01
	done
	ip addr del 2001:db8::1/64 dev qbxtest
}

@test "its own pid namespace, cgroup v2 and host name; no /dev of the host" {
	run box seen sh -c 'echo $$; cat /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.controllers; hostname;
		ls /proc/1/root/run; ls /dev/vda' < /dev/null
	[ "${lines[0]}" = 1 ]
	[ "${lines[1]}" = 0::/ ]
	[[ ${lines[2]} == *memory* && ${lines[2]} == *pids* && ${lines[2]} == *cpu* ]]
	[ "${lines[3]}" = box ]
	[[ ${lines[4]} == *"/dev/vda: No such file"* ]]
}

@test "the link is as the boot message says" {
	run box net sh -c 'ip -4 -o addr show dev lan0; ip -6 -o addr show dev lan0; ip route; ip link show lan0;
		cat /proc/net/arp' \
		< /dev/null
	[[ $output == *"192.0.2.2/24 brd 192.0.2.255"* ]]
	[[ $output == *"2001:db8::2/64"* ]]
	[[ $output == *"default via 198.51.100.1 dev lan0"* ]]
	[[ $output == *"mtu 1400"* ]]
	[[ $output =~ 192\.0\.2\.9\ +0x1\ +0x6\ +02:00:00:00:00:09 ]]
	[[ $output != *tentative* ]]
	ping -c 1 -W 5 192.0.2.2
}

@test "a limit is in force" {
	run box limit -c '.linux.resources = {pids: {limit: 77}}' cat /sys/fs/cgroup/pids.max < /dev/null
	[ "$output" = 77 ]
}

@test "a program that is missing fails in Create, in crun's words" {
	run --separate-stderr box none no-such-program < /dev/null
	[ "$status" -eq 99 ]
	[ -z "$output" ]
	[[ $stderr == "guestctl: code 5: crun create: "*"no-such-program"* ]]
	[ "${#stderr_lines[@]}" -eq 1 ]
	run guestctl state "$vm" none
	[[ $output == "guestctl: code 5: "* ]]
}

# refused WHY BOX-ARG... — a specification that is refused in one line.
refused() {
	local why=$1
	shift
	run --separate-stderr box refused "$@" true < /dev/null
	[ "$status" -eq 99 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == *"code 3: "*"$why"* ]]
}

@test "what belongs to the host is refused by name" {
	refused 'mount on /etc/hosts' -c '.mounts += [{destination: "/etc/hosts", type: "bind", source: "/x",
		options: ["rbind"]}]'
	for hook in prestart createRuntime poststart poststop; do
		refused "hooks.$hook" -c ".hooks.$hook = [{path: \"/bin/x\"}]"
	done
	refused 'device /dev/sda' -c '.linux.devices = [{path: "/dev/sda", type: "b", major: 8, minor: 0}]'
	refused 'linux.netDevices' -c '.linux.netDevices = {eth1: {}}'
	refused 'linux.seccomp.listenerPath' -c '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/x"}'
	refused 'ipc namespace /proc/7/ns/ipc' -c '.linux.namespaces[1].path = "/proc/7/ns/ipc"'
	refused "the host's network" -c '.linux.namespaces |= map(select(.type != "network"))'
}

@test "what the guest does not have is dropped with a line" {
	box drops -c '.process.apparmorProfile = "docker-default" | .process.selinuxLabel = "a:b:c" |
		.linux.mountLabel = "d:e:f" | .linux.intelRdt = {closID: "g"} | .future = {x: 1} |
		.process.execCPUAffinity = {initial: "7"} | .linux.resources = {
			cpu: {cpus: "6-7", mems: "1"}, hugepageLimits: [{pageSize: "2MB", limit: 0}],
			rdma: {mlx: {hcaHandles: 3}}, network: {classID: 5}, unified: {"cpuset.cpus": "6"},
			blockIO: {throttleReadBpsDevice: [{major: 8, minor: 0, rate: 1}]},
			devices: [{allow: true, type: "b", major: 8, minor: 0, access: "rwm"}]}' true < /dev/null
	for what in 'apparmorProfile "docker-default"' 'selinuxLabel "a:b:c"' 'mountLabel "d:e:f"' intelRdt \
		execCPUAffinity 'cpus "6-7"' 'mems "1"' hugepageLimits rdma network 'cpuset.cpus "6"' \
		throttleReadBpsDevice; do
		grep -q "qbx-init: .*$what.* is dropped: the guest has " "$vm/console.log"
	done
	grep -q 'qbx-init: .*future is dropped: the guest does not know it' "$vm/console.log"
	box drops -c '.process.capabilities.bounding = ["CAP_CHOWN", "CAP_TELEPATHY"] | .linux.seccomp = {
		defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["nosuchcall"], action: "SCMP_ACT_ERRNO"}]}' true < /dev/null
	grep -q 'qbx-init: .*unknown cap: `CAP_TELEPATHY`' "$vm/console.log"
	grep -q 'qbx-init: .*unknown seccomp syscall `nosuchcall` ignored' "$vm/console.log"
	grep -q 'qbx-init: .*device b 8:0 is not allowed' "$vm/console.log"
}

# Text for a specification: who a process is, and what it may.
who='.user = {uid: 1000, gid: 1001, additionalGids: [7, 42], umask: 63} | .noNewPrivileges = true |
	.oomScoreAdj = 123 | .rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: 200}] |
	.capabilities = (["CAP_CHOWN", "CAP_KILL"] | {bounding: ., permitted: ., effective: ., inheritable: ., ambient: .})'
# What such a process says about itself.
whoami='umask; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj; mkdir /tmp/x 2>&1
	grep -E "^(Uid|Gid|Groups|Cap|NoNew|Seccomp:)" /proc/self/status'

is_as_said() {
	diff - "$1" <<-'EOT'
		0077
		100
		200
		123
		mkdir: can't create directory '/tmp/x': Operation not permitted
		Uid:	1000	1000	1000	1000
		Gid:	1001	1001	1001	1001
		Groups:	7 42 
		CapInh:	0000000000000021
		CapPrm:	0000000000000021
		CapEff:	0000000000000021
		CapBnd:	0000000000000021
		CapAmb:	0000000000000021
		NoNewPrivs:	1
		Seccomp:	2
	EOT
}

@test "user, groups, umask, capabilities, limits and seccomp, of a container and of an exec" {
	local seccomp='.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"],
		syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 1}]}'
	box who -c "(.process |= ($who)) | $seccomp" sh -c "$whoami" < /dev/null > said
	is_as_said said
	spec "(.process |= ($who)) | $seccomp" sleep 1000 > spec.json
	guestctl create "$vm" who spec.json "${layers[@]}"
	guestctl start "$vm" who
	spec ".process | $who" sh -c "$whoami" > process.json
	guestctl exec "$vm" who/again process.json < /dev/null > said
	is_as_said said
	guestctl kill "$vm" who 9
	guestctl wait "$vm" who
	guestctl delete "$vm" who
}

@test "root without capabilities, as it was not given any" {
	run box bare grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp:)' /proc/self/status < /dev/null
	[ "$output" = $'CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t0' ]
}

@test "masked, read-only and temporary files, names, parameters and devices" {
	box files -c '.root.readonly = true | .hostname = "inner" | .domainname = "example" |
		.linux.maskedPaths = ["/etc/secret", "/proc/acpi", "/usr"] | .linux.readonlyPaths = ["/proc/sys"] |
		.linux.sysctl = {"kernel.shmmax": "123456", "fs.mqueue.msg_max": "17", "net.ipv4.ip_default_ttl": "63"} |
		.linux.devices = [{path: "/dev/mine", type: "c", major: 1, minor: 3, fileMode: 438, uid: 5, gid: 6}] |
		.mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=64k", "noexec"]},
			{destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "mode=1777", "size=65536k"]},
			{destination: "/dev/mqueue", type: "mqueue", source: "mqueue"}]' \
		sh -c '(touch /x) 2>&1; cat /etc/secret; ls /usr; (echo 1 > /proc/sys/kernel/shmmax) 2>&1 | grep -o "shmmax:.*"
			dd if=/dev/zero of=/tmp/big bs=1k count=100 2>&1 | grep -o "No space.*"
			hostname; cat /proc/sys/kernel/domainname /proc/sys/kernel/shmmax /proc/sys/fs/mqueue/msg_max
			cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/net/ipv[46]/neigh/default/interval_probe_time_ms
			stat -c "%a %u %g %t %T" /dev/mine; echo x > /dev/mine; stat -c "%a" /dev/shm
			grep -o "/tmp tmpfs.*noexec" /proc/mounts' < /dev/null > said
	diff - said <<-'EOT'
		touch: /x: Read-only file system
		shmmax: Read-only file system
		No space left on device
		inner
		example
		123456
		17
		63
		3600000
		3600000
		666 5 6 1 3
		1777
		/tmp tmpfs rw,noexec
	EOT
	run box files -c '.linux.sysctl = {"vm.swappiness": "1"}' true < /dev/null
	[[ $output == *'vm.swappiness'*'is not namespaced'* ]]
}

@test "limits of the cgroup, and of what devices are used" {
	box limits -c '.process.capabilities = (["CAP_MKNOD", "CAP_DAC_OVERRIDE"] | {bounding: ., permitted: ., effective: .}) |
		.linux.resources = {pids: {limit: 55}, memory: {limit: 67108864, reservation: 33554432},
			cpu: {quota: 50000, period: 100000, shares: 512}, unified: {"memory.high": "50331648"},
			devices: [{allow: false, access: "rwm"}, {allow: true, type: "c", major: 1, minor: 5, access: "r"},
				{allow: true, type: "b", major: 254, minor: 0, access: "rwm"}]}' \
		sh -c 'cd /sys/fs/cgroup; cat pids.max memory.max memory.low memory.high cpu.max
			[ "$(cat cpu.weight)" -lt 100 ] && echo less
			mknod /tmp/disk b 254 0; head -c 1 /tmp/disk 2>&1; true' < /dev/null > said
	diff - said <<-'EOT'
		55
		67108864
		33554432
		50331648
		50000 100000
		less
		head: /tmp/disk: Operation not permitted
	EOT
	run box limits -c '.linux.resources.memory = {swappiness: 5}' true < /dev/null
	[[ $output == *'cannot set memory swappiness'* ]]
}

@test "users, a clock, a personality and a priority of its own" {
	run box own -c '.linux.namespaces += [{type: "user"}] |
		.linux.uidMappings = [{containerID: 0, hostID: 1000, size: 1000}] | .linux.gidMappings = .linux.uidMappings' \
		sh -c 'id -u; tr -s " " < /proc/self/uid_map' < /dev/null
	[ "$output" = $'0\n 0 1000 1000' ]
	run box own -c '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 1000000}} |
		.linux.personality = {domain: "LINUX32"} | .process.scheduler = {policy: "SCHED_BATCH", nice: 5}' \
		sh -c 'uname -m; cut -d" " -f19,41 /proc/self/stat; cut -c1-4 /proc/uptime' < /dev/null
	[ "$output" = $'i686\n5 3\n1000' ]
}

@test "hooks of the container run in it, before its program" {
	run box hooks -c '.hooks = {
		startContainer: [{path: "/bin/sh", args: ["sh", "-c", "echo start $A >> /tmp/log"], env: ["A=b"]}],
		createContainer: [{path: "/bin/sh", args: ["sh", "-c", "echo create >> /tmp/log"]}]}' \
		cat /tmp/log < /dev/null
	[ "$output" = $'create\nstart b' ]
	run box hooks -c '.hooks = {startContainer: [{path: "/bin/sh", args: ["sh", "-c", "exit 3"]}]}' \
		echo not run < /dev/null
	[ "$status" -ne 0 ]
	[[ $output != *"not run"* ]]
	run box hooks -c '.hooks = {startContainer: [{path: "/bin/none"}]}' echo not run < /dev/null
	[ "$status" -ne 0 ]
	[[ $output != *"not run"* ]]
}

@test "a root file system that cannot be had" {
	spec . true > spec.json
	run guestctl create "$vm" bad spec.json erofs,disk:gone,rootfs,ro
	[[ $output == *'no disk has the serial "gone"'* ]]
	run guestctl create "$vm" bad spec.json erofs,disk:layer0,../../x,ro
	[[ $output == *'not a path below the bundle'* ]]
	run guestctl create "$vm" bad spec.json tmpfs,tmpfs,rootfs,nonsense=1
	[[ $output == *"Unknown parameter 'nonsense'"* ]]
	run guestctl create "$vm" bad spec.json bind,/etc,rootfs
	[[ $output == *'cannot mount that type'* ]]
}

@test "the states of a container, and what they refuse" {
	spec . sh -c 'exit 5' > spec.json
	guestctl create "$vm" life spec.json erofs,disk:layer0,rootfs,ro
	guestctl state "$vm" life | grep -x status=1
	run guestctl create "$vm" life spec.json erofs,disk:layer0,rootfs,ro
	[[ $output == "guestctl: code 6: "* ]]
	guestctl start "$vm" life
	guestctl wait "$vm" life | grep -x exit_status=5
	guestctl wait "$vm" life | grep -x exit_status=5
	guestctl state "$vm" life | grep -x status=3
	run guestctl start "$vm" life
	[[ $output == "guestctl: code 9: "* ]]
	run guestctl kill "$vm" life 15
	[[ $output == "guestctl: code 5: "* ]]
	guestctl delete "$vm" life | grep -x exit_status=5
	run guestctl delete "$vm" life
	[[ $output == "guestctl: code 5: "* ]]
}

@test "one that was only created can be deleted" {
	spec . true > spec.json
	guestctl create "$vm" early spec.json erofs,disk:layer0,rootfs,ro
	guestctl delete "$vm" early | grep -x exit_status=137
}

@test "signals, to one process and to all" {
	spec . sh -c 'trap "exit 3" TERM; touch /tmp/up; sleep 1000 & wait' > spec.json
	guestctl create "$vm" sig spec.json "${layers[@]}"
	guestctl start "$vm" sig
	run guestctl delete "$vm" sig
	[[ $output == "guestctl: code 9: "* ]]
	SECONDS=0
	until [ "$(guestctl pids "$vm" sig | grep -c pid=)" -eq 2 ] || [ "$SECONDS" -gt 20 ]; do :; done
	guestctl kill "$vm" sig 15
	guestctl wait "$vm" sig | grep -x exit_status=3
	guestctl delete "$vm" sig
	guestctl create "$vm" sig spec.json "${layers[@]}"
	guestctl start "$vm" sig
	guestctl kill "$vm" sig 9 all
	guestctl wait "$vm" sig | grep -x exit_status=137
	guestctl delete "$vm" sig
}

@test "signals by number, to execs, and to those who do not listen" {
	spec . sh -c 'trap "" TERM; sleep 1000 & wait' > spec.json
	guestctl create "$vm" deaf spec.json "${layers[@]}"
	guestctl start "$vm" deaf
	process sleep 1000 > process.json
	guestctl addexec "$vm" deaf/a process.json
	fails 9 kill "$vm" deaf/a 15
	fails 3 kill "$vm" deaf 0
	fails 3 kill "$vm" deaf 65
	fails 5 kill "$vm" deaf/b 15
	for signal in 15 1 34 64; do
		guestctl start "$vm" deaf/a
		guestctl kill "$vm" deaf/a $signal
		guestctl wait "$vm" deaf/a | grep -x exit_status=$((128 + signal))
		fails 5 kill "$vm" deaf/a 9
		guestctl delete "$vm" deaf/a
		guestctl addexec "$vm" deaf/a process.json
	done
	# One that handles it, and all of them at once.
	process sh -c 'trap "exit 64" 64; touch /tmp/up; while :; do :; done' > process.json
	guestctl addexec "$vm" deaf/b process.json
	guestctl start "$vm" deaf/b
	process sh -c 'until [ -e /tmp/up ]; do :; done' > process.json
	guestctl exec "$vm" deaf/c process.json < /dev/null
	guestctl kill "$vm" deaf/b 64
	guestctl wait "$vm" deaf/b | grep -x exit_status=64
	guestctl start "$vm" deaf/a
	guestctl kill "$vm" deaf 15 all
	guestctl wait "$vm" deaf/a | grep -x exit_status=143
	guestctl state "$vm" deaf | grep -x status=2
	guestctl kill "$vm" deaf 9
	guestctl wait "$vm" deaf | grep -x exit_status=137
	fails 5 kill "$vm" deaf 9
	fails 5 kill "$vm" deaf 9 all
	guestctl delete "$vm" deaf
}

@test "fifty execs at once, and their names again" {
	spec . sleep 1000 > spec.json
	guestctl create "$vm" many spec.json "${layers[@]}"
	guestctl start "$vm" many
	process sh -c 'cat; exit 7' > process.json
	for n in 50 3; do
		echo "$n at once" > said
		pids=()
		for i in $(seq $n); do
			guestctl exec "$vm" "many/$i" process.json < said > "$i.out" 2> "$i.err" 3>&- &
			pids+=($!)
		done
		for pid in "${pids[@]}"; do
			wait "$pid" || [ $? -eq 7 ]
		done
		for i in $(seq $n); do cmp said "$i.out"; done
	done
	[ "$(metric many pidscurrent)" -eq 1 ]
	guestctl addexec "$vm" many/late process.json
	guestctl kill "$vm" many 9
	guestctl wait "$vm" many
	fails 9 addexec "$vm" many/more process.json
	fails 9 start "$vm" many/late
	guestctl delete "$vm" many
}

@test "what a container leaves behind dies with it" {
	# No pid namespace: its children are the guest's to reap, and hold its output open.
	run timeout 20 "$BASH" -c "$(declare -f box spec guestctl); layers=(${layers[*]@Q}); box orphan \
		-c '.linux.namespaces |= map(select(.type != \"pid\"))' sh -c 'sleep 1000 & echo gone'" < /dev/null
	[ "$status" -eq 0 ]
	[ "$output" = gone ]
	run box look -c '.linux.namespaces |= map(select(.type != "pid"))' sh -c 'ps | grep [s]leep; cat /proc/1/mounts' \
		< /dev/null
	[[ $output != *"sleep 1000"* ]]
	[[ $output != */run/qbx/orphan/* ]]
}

@test "a terminal: input, output, size, and no stderr" {
	on_terminal term -c '.process.consoleSize = {width: 90, height: 20}' \
		sh -c 'tty; stty size; read line; echo "got $line" >&2; exit 3'
	echo typed >&4
	wait $! || [ $? -eq 3 ]
	exec 4>&-
	[ "$(tr -d '\r' < term.out)" = $'/dev/pts/0\n20 90\ntyped\ngot typed' ] ||
		[ "$(tr -d '\r' < term.out)" = $'typed\n/dev/pts/0\n20 90\ngot typed' ]
	[ ! -s term.err ]
	# Whether there is one is what the request says.
	run box term -c '.process.terminal = true' sh -c 'tty; tty <&1' < /dev/null
	[ "$output" = $'not a tty\nnot a tty' ]
}

@test "4 MiB through a terminal arrive before the end" {
	wanted=$(head -c 4194304 /dev/zero | tr '\0' x | cksum)
	on_terminal much sh -c 'stty -opost; dd if=/dev/zero bs=64k count=64 2> /dev/null | tr "\0" x'
	wait $!
	exec 4>&-
	[ "$(cksum < much.out)" = "$wanted" ]
}

@test "1 MiB typed into a terminal, and back" {
	head -c 1048576 /dev/urandom > data
	on_terminal typing sh -c 'stty raw -echo; echo ready; dd bs=1k count=1k iflag=fullblock 2> /dev/null'
	until_in typing.out ready
	cat data >&4
	wait $!
	exec 4>&-
	tail -c 1048576 typing.out | cmp - data
}

@test "the size of a terminal, before and after the start" {
	export GUESTCTL_HOLD=1
	on_terminal size sh -c 'trap "stty size; exit 4" WINCH; stty size; sleep 1000 & wait'
	until_in size.err created
	guestctl resize "$vm" size 33 11
	guestctl start "$vm" size
	until_in size.out '11 33'
	guestctl resize "$vm" size 44 22
	wait $! || [ $? -eq 4 ]
	exec 4>&-
	[ "$(tail -n 1 size.out)" = $'22 44\r' ]
	# Where there is none, that is no mistake; a size that none can have is.
	spec . true > spec.json
	guestctl create "$vm" size spec.json erofs,disk:layer0,rootfs,ro
	guestctl resize "$vm" size 44 22
	guestctl delete "$vm" size
	unset GUESTCTL_HOLD
	GUESTCTL_TERMINAL=1 guestctl create "$vm" size spec.json erofs,disk:layer0,rootfs,ro
	guestctl state "$vm" size | grep -x terminal=1
	run guestctl resize "$vm" size 65536 22
	[[ $output == "guestctl: code 3: "* ]]
	guestctl delete "$vm" size
}

@test "the end of its input hangs a terminal up" {
	on_terminal hangup sh -c 'trap "exit 5" HUP; echo ready; sleep 1000 & wait'
	until_in hangup.out ready
	exec 4>&-
	wait $! || [ $? -eq 5 ]
	[ "$(cat hangup.out)" = $'ready\r' ]
	# What came before that is there, also from one who never stops.
	on_terminal hangup sh -c 'echo first; while echo more; do :; done; exit 9'
	until_in hangup.out more
	exec 4>&-
	wait $! || [ $? -eq 9 ] # process 1 of a namespace does not die of SIGHUP
	[ "$(head -n 1 hangup.out)" = $'first\r' ]
}

@test "an exec with a terminal, in a container without" {
	spec . sleep 1000 > spec.json
	guestctl create "$vm" host spec.json "${layers[@]}"
	guestctl start "$vm" host
	process sh -c 'stty size; tty; echo "$0"; exit 6' > process.json
	mkfifo in
	export GUESTCTL_TERMINAL=1
	GUESTCTL_HOLD=1 guestctl exec "$vm" host/tty process.json < in > out 2> err 3>&- &
	exec 4> in
	until_in err created
	guestctl resize "$vm" host/tty 50 25
	guestctl state "$vm" host/tty | grep -x terminal=1
	guestctl start "$vm" host/tty
	wait $! || [ $? -eq 6 ]
	exec 4>&-
	[ "$(tr -d '\r' < out)" = $'25 50\n/dev/pts/0\nsh' ]
	# Nobody wants the output of this one; it goes on all the same.
	process sh -c 'dd if=/dev/zero bs=64k count=16 2> /dev/null; exit 7' > process.json
	guestctl addexec "$vm" host/tty process.json
	guestctl start "$vm" host/tty
	guestctl wait "$vm" host/tty | grep -x exit_status=7
	guestctl delete "$vm" host/tty
	guestctl kill "$vm" host 9
	guestctl wait "$vm" host
	guestctl delete "$vm" host
}

@test "who keeps a terminal open does not hold back the end" {
	spec . sleep 1000 > spec.json
	guestctl create "$vm" host spec.json "${layers[@]}"
	guestctl start "$vm" host
	process sh -c 'trap "" HUP; sleep 1000 & exit 8' > process.json
	mkfifo in
	GUESTCTL_TERMINAL=1 guestctl exec "$vm" host/tty process.json < in > out 2> err 3>&- &
	exec 4> in
	until guestctl wait "$vm" host/tty > status 2> /dev/null; do :; done
	grep -x exit_status=8 status
	guestctl delete "$vm" host/tty
	wait $! || [ $? -eq 99 ]
	exec 4>&-
	guestctl kill "$vm" host 9 all
	guestctl wait "$vm" host
	guestctl delete "$vm" host
}

@test "what a container uses" {
	spec '.linux.resources = {pids: {limit: 77}, memory: {limit: 67108864}}' \
		sh -c 'echo 3 > /proc/sys/vm/drop_caches; cat /bin/busybox > /dev/null
			while read -r line; do while :; do :; done; done' > spec.json
	mkfifo in
	GUESTCTL_HOLD=1 guestctl run "$vm" busy spec.json "${layers[@]}" < in 2> err 3>&- &
	exec 4> in
	until_in err created
	[ "$(metric busy type_url)" = io.containerd.cgroups.v2.Metrics ]
	[ "$(metric busy pidscurrent)" -eq 1 ]
	guestctl start "$vm" busy
	[ "$(metric busy pidslimit)" -eq 77 ]
	[ "$(metric busy memoryusage_limit)" -eq 67108864 ]
	[ "$(metric busy memoryusage)" -gt 100000 ]
	[ "$(metric busy memoryusage)" -le "$(metric busy memorymax_usage)" ]
	[ "$(metric busy memoryanon)" -gt 0 ]
	[ "$(metric busy memorypgfault)" -gt 0 ]
	[ "$(metric busy memory_eventsoom_kill)" -eq 0 ]
	echo go >&4
	# Its own usage grows, and its alone: while it stands still it does not.
	a=$(metric busy cpuusage_usec)
	SECONDS=0
	until [ "$(metric busy cpuusage_usec)" -gt "$((a + 200000))" ]; do [ "$SECONDS" -lt 60 ]; done
	guestctl pause "$vm" busy
	a=$(metric busy cpuusage_usec)
	box other true < /dev/null
	[ "$(metric busy cpuusage_usec)" -eq "$a" ]
	[ "$(metric busy usagerbytes)" -gt 100000 ]
	[ "$(metric busy usagemajor)" -eq 254 ]
	guestctl kill "$vm" busy 9
	wait $! || [ $? -eq 137 ]
	exec 4>&-
	fails 5 metrics "$vm" busy
}

@test "a container is paused and goes on" {
	spec . sh -c 'trap "exit 4" TERM; while :; do :; done' > spec.json
	process sleep 1000 > process.json
	guestctl create "$vm" still spec.json "${layers[@]}"
	fails 9 pause "$vm" still
	guestctl start "$vm" still
	fails 9 resume "$vm" still
	guestctl addexec "$vm" still/early process.json
	guestctl addexec "$vm" still/late process.json
	guestctl start "$vm" still/early
	guestctl pause "$vm" still
	guestctl state "$vm" still | grep -x status=4
	guestctl state "$vm" still/early | grep -x status=4
	guestctl state "$vm" still/late | grep -x status=1
	fails 9 pause "$vm" still
	fails 9 delete "$vm" still
	fails 9 addexec "$vm" still/other process.json
	fails 9 start "$vm" still/late
	# A signal waits until it goes on.
	guestctl kill "$vm" still 15
	guestctl state "$vm" still | grep -x status=4
	guestctl resume "$vm" still
	guestctl wait "$vm" still | grep -x exit_status=4
	fails 9 pause "$vm" still
	fails 9 resume "$vm" still
	guestctl delete "$vm" still
}

@test "a paused container can be killed" {
	spec . sleep 1000 > spec.json
	guestctl create "$vm" still spec.json "${layers[@]}"
	guestctl start "$vm" still
	guestctl pause "$vm" still
	guestctl kill "$vm" still 9
	guestctl wait "$vm" still | grep -x exit_status=137
	guestctl state "$vm" still | grep -x status=3
	guestctl delete "$vm" still
	fails 5 pause "$vm" still
}

@test "each kill for want of memory is told once" {
	local hog='dd if=/dev/zero of=/dev/null bs=64M count=1'
	spec '.linux.resources.memory = {limit: 33554432}' sh -c "$hog; $hog; sleep 1000" > spec.json
	guestctl create "$vm" poor spec.json "${layers[@]}"
	guestctl start "$vm" poor
	[ "$(guestctl oom "$vm")" = id=poor ]
	[ "$(guestctl oom "$vm")" = id=poor ]
	[ "$(metric poor memory_eventsoom_kill)" -eq 2 ]
	# Of several that ask the last is told.
	guestctl oom "$vm" > third 3>&- &
	guestctl oom "$vm" > fourth 3>&- &
	wait -n || [ $? -eq 99 ]
	process sh -c "exec $hog" > process.json
	guestctl addexec "$vm" poor/hog process.json
	guestctl start "$vm" poor/hog
	guestctl wait "$vm" poor/hog | grep -x exit_status=137
	wait -n
	[ "$(cat third fourth)" = id=poor ]
	guestctl kill "$vm" poor 9
	guestctl wait "$vm" poor
	guestctl delete "$vm" poor
	# The container itself: told before its end is.
	spec '.linux.resources.memory = {limit: 33554432}' sh -c "exec $hog" > spec.json
	guestctl create "$vm" poorer spec.json "${layers[@]}"
	guestctl oom "$vm" > fifth 3>&- &
	guestctl start "$vm" poorer
	guestctl wait "$vm" poorer | grep -x exit_status=137
	wait -n
	[ "$(cat fifth)" = id=poorer ]
	guestctl delete "$vm" poorer
}

# clock — the guest's time of day in nanoseconds.
clock() {
	guestctl ping "$vm" | sed -n 's/^time_ns=//p'
}

@test "the clock is moved by what the host says" {
	before=$(clock)
	guestctl clock "$vm" 3600000000000
	after=$(clock)
	[ "$((after - before))" -ge 3600000000000 ]
	[ "$((after - before))" -lt 3660000000000 ]
	guestctl clock "$vm" -3600000000001
	after=$(clock)
	[ "$((after - before))" -ge 0 ]
	[ "$((after - before))" -lt 60000000000 ]
	fails 3 clock "$vm" "-$after"
	fails 3 clock "$vm" -9223372036854775808
	fails 3 clock "$vm" 9223372036854775807
	[ "$(clock)" -lt "$((before + 60000000000))" ]
}

@test "without the token nothing is served" {
	mkdir -p liar/vsock
	ln "$vm/vsock/vsock.sock" liar/vsock/vsock.sock
	head -c 32 /dev/zero > liar/token
	run guestctl state liar any
	[ "$status" -eq 99 ]
	[[ $output != *"does not exist"* ]]
	run guestctl run liar any /dev/null < /dev/null
	[ "$status" -eq 99 ]
	grep -q 'port 1024: wrong token' "$vm/console.log"
	# The others are served as before.
	box still true < /dev/null
}

@test "a guest that the host refuses says so and ends" {
	echo '{"error": "no room"}' > boot.json
	guest_start "$PWD/refused" boot.json
	guest_end "$PWD/refused"
	grep -q 'qbx-init: error: the host refuses this guest: no room: powering off' refused/console.log
}

@test "a guest without the promised interface says so and ends" {
	echo '{"links": [{"name": "eth0", "mac": "02:00:00:00:00:99"}]}' > boot.json
	guest_start "$PWD/lacking" boot.json
	guest_end "$PWD/lacking"
	grep -q 'no network interface has the address 02:00:00:00:00:99' lacking/console.log
}

@test "shutdown ends what runs, and the machine" {
	echo '{}' > boot.json
	guest_start "$PWD/down" boot.json \
		-drive "if=none,id=d0,file=$BATS_FILE_TMPDIR/image.erofs,format=raw,readonly=on" \
		-device virtio-blk-device,drive=d0,serial=layer0
	spec . sleep 1000 > spec.json
	guestctl create down long spec.json erofs,disk:layer0,rootfs,ro
	guestctl start down long
	guestctl shutdown down
	guest_end "$PWD/down"
	run grep -c 'qbx-init: error' down/console.log
	[ "$output" = 0 ]
}

# no_guest CMD... — init, outside of a guest: one line, and nothing is touched.
no_guest() {
	run --separate-stderr "$@" "$QBX_BUILD/bin/qbx-init"
	[ "$status" -eq 64 ]
	[ -z "$output" ]
	[ "$stderr" = "qbx-init: only runs as process 1 of a guest, from its initramfs" ]
}

@test "init does nothing anywhere but in a guest" {
	mounts=$(cut -d' ' -f5- /proc/self/mountinfo)
	no_guest env
	no_guest unshare --pid --fork --mount
	[ "$(cut -d' ' -f5- /proc/self/mountinfo)" = "$mounts" ]
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}
