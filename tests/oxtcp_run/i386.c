// SPDX-License-Identifier: GPL-2.0
/*
 * A 32-bit program without a libc, as Go's and musl's are: every way that i386
 * has to make a TCP socket and to ask for its protocol. Its exit status is the
 * number of the first check that failed.
 */
#include <asm/unistd_32.h>

#define SYS_SOCKET	1
#define SYS_GETSOCKOPT	15
#define AF_INET		2
#define AF_INET6	10
#define SOCK_STREAM	1
#define SOCK_DGRAM	2
#define SOL_SOCKET	1
#define SO_PROTOCOL	38
#define SO_DOMAIN	39
#define TCP		6
#define UDP		17
#define EFAULT		14
#define EBADF		9

static long call(long number, long a, long b, long c, long d, long e)
{
	long result;

	asm volatile("int $0x80" : "=a"(result)
		     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
		     : "memory");
	return result;
}

static long socket_direct(long domain, long type, long protocol)
{
	return call(__NR_socket, domain, type, protocol, 0, 0);
}

static long socket_by_call(long domain, long type, long protocol)
{
	long arguments[] = { domain, type, protocol };

	return call(__NR_socketcall, SYS_SOCKET, (long)arguments, 0, 0, 0);
}

static long ask_direct(long fd, long option)
{
	long length = sizeof(long);
	long value = -1;
	long result = call(__NR_getsockopt, fd, SOL_SOCKET, option,
			   (long)&value, (long)&length);

	return result ? result : value;
}

static long ask_by_call(long fd, long option)
{
	long length = sizeof(long);
	long value = -1;
	long arguments[] = { fd, SOL_SOCKET, option, (long)&value,
			     (long)&length };
	long result = call(__NR_socketcall, SYS_GETSOCKOPT, (long)arguments,
			   0, 0, 0);

	return result ? result : value;
}

static int checks;

static void check(int holds)
{
	checks++;
	if (!holds)
		call(__NR_exit_group, checks, 0, 0, 0, 0);
}

static void check_socket(long fd, long domain, long protocol)
{
	check(fd > 2);
	check(ask_direct(fd, SO_DOMAIN) == domain);
	check(ask_by_call(fd, SO_DOMAIN) == domain);
	check(ask_direct(fd, SO_PROTOCOL) == protocol);
	check(ask_by_call(fd, SO_PROTOCOL) == protocol);
	check(call(__NR_close, fd, 0, 0, 0, 0) == 0);
}

__attribute__((force_align_arg_pointer)) void _start(void)
{
	check_socket(socket_direct(AF_INET, SOCK_STREAM, 0), AF_INET, TCP);
	check_socket(socket_by_call(AF_INET, SOCK_STREAM, TCP), AF_INET, TCP);
	check_socket(socket_direct(AF_INET6, SOCK_STREAM, 0), AF_INET6, TCP);
	check_socket(socket_by_call(AF_INET6, SOCK_STREAM, 0), AF_INET6, TCP);
	check_socket(socket_direct(AF_INET, SOCK_DGRAM, 0), AF_INET, UDP);
	check_socket(socket_by_call(AF_INET, SOCK_DGRAM, 0), AF_INET, UDP);
	/* Arguments that are nowhere. */
	check(call(__NR_socketcall, SYS_SOCKET, 16, 0, 0, 0) == -EFAULT);
	check(call(__NR_socketcall, SYS_GETSOCKOPT, 16, 0, 0, 0) == -EFAULT);
	check(ask_by_call(-1, SO_PROTOCOL) == -EBADF);
	call(__NR_exit_group, 0, 0, 0, 0, 0);
}
