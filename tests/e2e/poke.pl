#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# poke.pl PORT panic|reset|hang - by QEMU's gdbserver on 127.0.0.1:PORT, have a guest's kernel come to grief
# Source of the protocol: the GDB manual, "GDB Remote Serial Protocol".
use strict;
use warnings;
use Socket;

# Written over what the kernel is about to run.
my %code = (
	panic => '0f0b',			# ud2
	hang => 'faf4ebfd',			# cli; 1: hlt; jmp 1b
	reset => '0f011d01000000cc' . '00' x 10,	# lidt of what follows, which is empty; int3
);
my ($port, $how) = @ARGV;
my $bytes = $code{$how} // die "usage: poke.pl PORT panic|reset|hang\n";

socket(my $gdb, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
connect($gdb, sockaddr_in($port, INADDR_LOOPBACK)) or die "connect: $!\n";

sub get {
	sysread($gdb, my $byte, 1) or die "gdbserver: closed\n";
	return $byte;
}

sub put {
	my ($data) = @_;
	syswrite($gdb, sprintf('$%s#%02x', $data, unpack('%8C*', $data))) or die "write: $!\n";
}

# The next packet's data, without its checksum.
sub reply {
	my $data = '';
	1 while get() ne '$';
	while ((my $byte = get()) ne '#') { $data .= $byte }
	get() for 1 .. 2;
	syswrite($gdb, '+');
	return $data;
}

put('?');
reply();
for (;;) {
	put('g'); # rax to r15, rip: 8 bytes each; eflags, cs: 4 each
	my $regs = pack('H*', reply());
	my ($rip, $cs) = unpack('x128 Q< x4 L<', $regs);
	if ($cs & 3) { # the container's: let it run a moment
		put('c');
		select(undef, undef, undef, 0.01);
		syswrite($gdb, "\x03");
		reply();
		next;
	}
	put(sprintf('M%x,%x:%s', $rip, length($bytes) / 2, $bytes));
	my $answer = reply();
	die "write to memory: $answer\n" if $answer ne 'OK';
	last;
}
put('D');
reply();
