#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# guest.pl TAP MAC CIDR TARGET - what a guest's driver does with a TAP: find TARGET by ARP, ping it once
use strict;
use warnings;
use Fcntl;
use Socket;

use constant {
	TUNSETIFF => 0x400454ca,
	FLAGS => 0x0002 | 0x1000 | 0x4000,	# IFF_TAP, IFF_NO_PI, IFF_VNET_HDR
	VNET_HDR_LEN => 10,
	SECONDS => 5,
};

my ($tap, $mac, $cidr, $target) = @ARGV;
my $hw = pack('H12', $mac =~ tr/://dr);
my $ip = inet_aton($cidr =~ s{/.*}{}r);
my $to = inet_aton($target);

sysopen(my $fd, '/dev/net/tun', O_RDWR) or die "tun: $!\n";
ioctl($fd, TUNSETIFF, pack('Z16 S x22', $tap, FLAGS)) or die "$tap: $!\n";

sub put {
	my ($dst, $type, $payload) = @_;
	syswrite($fd, ("\0" x VNET_HDR_LEN) . $dst . $hw . pack('n', $type) . $payload) or die "write: $!\n";
}

# Send @ask, and again every second as ARP does, until $want takes a frame; its payload.
sub ask {
	my ($what, $want, @ask) = @_;
	for (1 .. SECONDS) {
		put(@ask);
		for (;;) {
			my $ready = '';
			vec($ready, fileno($fd), 1) = 1;
			select($ready, undef, undef, 1) or last;
			sysread($fd, my $frame, 65536) or die "read: $!\n";
			my ($dst, undef, $type, $payload) = unpack('a6 a6 n a*', substr($frame, VNET_HDR_LEN));
			return $payload if $dst eq $hw && $want->($type, $payload);
		}
	}
	die "no $what from $target\n";
}

sub sum {
	my $s = 0;
	$s += $_ for unpack('n*', $_[0]);
	$s = ($s & 0xffff) + ($s >> 16) while $s >> 16;
	return ~$s & 0xffff;
}

my $arp = ask('ARP reply',
	sub { $_[0] == 0x0806 && unpack('x6 n', $_[1]) == 2 && substr($_[1], 14, 4) eq $to },
	"\xff" x 6, 0x0806, pack('n n C C n a6 a4 a6 a4', 1, 0x0800, 6, 4, 1, $hw, $ip, "\0" x 6, $to));

my $icmp = pack('C C n n n a16', 8, 0, 0, 7, 1, 'a ping by hand');
substr($icmp, 2, 2) = pack('n', sum($icmp));
my $header = pack('C C n n n C C n a4 a4', 0x45, 0, 20 + length $icmp, 1, 0, 64, 1, 0, $ip, $to);
substr($header, 10, 2) = pack('n', sum($header));
sub is_echo_reply {
	my ($type, $payload) = @_;
	my ($protocol, $kind) = unpack('x9 C x10 C', $payload);
	return $type == 0x0800 && $protocol == 1 && $kind == 0;
}

ask('echo reply', \&is_echo_reply, substr($arp, 8, 6), 0x0800, $header . $icmp);
