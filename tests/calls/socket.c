// SPDX-License-Identifier: GPL-2.0
/* Creating a socket, and its descriptor as any other descriptor. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

static void create(void)
{
	struct stat status;
	int fd = make_socket(0);

	EQ(fcntl(fd, F_GETFD), 0);
	EQ(fcntl(fd, F_GETFL), O_RDWR);
	OK(fstat(fd, &status));
	CHECK(S_ISSOCK(status.st_mode));
	EQ(get_option(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	OK(close(fd));
}

static void protocol_tcp(void)
{
	int fd = OK(socket(domain_of(family()), SOCK_STREAM, IPPROTO_TCP));

	OK(close(fd));
}

static void flags(void)
{
	int fd = make_socket(SOCK_NONBLOCK);

	EQ(fcntl(fd, F_GETFD), 0);
	EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	close(fd);

	fd = make_socket(SOCK_CLOEXEC);
	EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EQ(fcntl(fd, F_GETFL), O_RDWR);
	close(fd);

	fd = make_socket(SOCK_CLOEXEC | SOCK_NONBLOCK);
	EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	close(fd);
}

static void other_types(void)
{
	static const int unknown[] = { SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP };

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		FAILS(socket(domain_of(family()), unknown[i], 0), ESOCKTNOSUPPORT);
	FAILS(socket(domain_of(family()), 0, 0), ESOCKTNOSUPPORT);
	FAILS(socket(domain_of(family()), 11, 0), EINVAL);
	FAILS(socket(domain_of(family()), SOCK_STREAM | 0x100000, 0), EINVAL);
}

static void other_protocols(void)
{
	FAILS(socket(domain_of(family()), SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	FAILS(socket(domain_of(family()), SOCK_STREAM, IPPROTO_ICMPV6), EPROTONOSUPPORT);
	FAILS(socket(domain_of(family()), SOCK_STREAM, 255), EPROTONOSUPPORT);
	FAILS(socket(domain_of(family()), SOCK_STREAM, -1), EINVAL);
	FAILS(socket(domain_of(family()), SOCK_STREAM, 4096), EINVAL);
}

static void pair_of_sockets(void)
{
	int fds[2];

	FAILS(socketpair(domain_of(family()), SOCK_STREAM,
			 protocol_of(family()), fds), EOPNOTSUPP);
}

static void link_name(void)
{
	int fd = make_socket(0);
	char path[64], target[64], expected[64];
	struct stat status;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = OK(readlink(path, target, sizeof(target) - 1));
	target[length] = 0;
	OK(fstat(fd, &status));
	snprintf(expected, sizeof(expected), "socket:[%lu]",
		 (unsigned long)status.st_ino);
	if (strcmp(target, expected) != 0)
		FAIL("the link is %s, not %s", target, expected);
}

static void echo(int from, int to)
{
	char byte = 0;

	EQ(write(from, "x", 1), 1);
	EQ(read(to, &byte, 1), 1);
	EQ(byte, 'x');
}

static void duplicate(void)
{
	struct pair pair = make_pair();
	int copy = OK(dup(pair.fd));

	close(pair.fd);
	echo(copy, pair.peer);
	echo(pair.peer, copy);
	EQ(dup2(copy, 77), 77);
	close(copy);
	/* The last descriptor is open, so the connection is. */
	EQ(events_now(pair.peer), POLLOUT | POLLWRNORM);
	echo(77, pair.peer);
	close(77);
	expect_end(pair.peer);
}

static void use_inherited(void *argument)
{
	struct pair *pair = argument;

	close(pair->peer);
	echo(pair->fd, pair->fd);
}

static void inherited(void)
{
	struct pair pair = make_pair();
	pid_t child = start(use_inherited, &pair);
	char byte;

	close(pair.fd);
	EQ(read(pair.peer, &byte, 1), 1);
	EQ(write(pair.peer, &byte, 1), 1);
	finish(child);
	expect_end(pair.peer);
}

struct courier {
	int channel;
	int end;
};

static void pass_descriptor(void *argument)
{
	struct courier *courier = argument;
	struct pair pair;
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = "p", .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	close(courier->end);
	pair = make_pair();
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &pair.fd, sizeof(int));
	EQ(sendmsg(courier->channel, &message, 0), 1);
	close(pair.fd);
	echo(pair.peer, pair.peer);
	expect_end(pair.peer);
}

static void passed(void)
{
	int channel[2];
	struct courier courier;
	char control[CMSG_SPACE(sizeof(int))];
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	pid_t child;
	int fd;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	courier.channel = channel[0];
	courier.end = channel[1];
	child = start(pass_descriptor, &courier);
	EQ(recvmsg(channel[1], &message, 0), 1);
	CHECK(CMSG_FIRSTHDR(&message));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	EQ(read(fd, &byte, 1), 1);
	EQ(write(fd, &byte, 1), 1);
	close(fd);
	finish(child);
}

static void not_seekable(void)
{
	struct pair pair = make_pair();
	char byte;

	FAILS(lseek(pair.fd, 0, SEEK_SET), ESPIPE);
	FAILS(pread(pair.fd, &byte, 1, 0), ESPIPE);
	FAILS(ftruncate(pair.fd, 0), EINVAL);
}

static void many_unused(void)
{
	for (int i = fewer(1000); i; i--)
		close(make_socket(0));
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(create),		CASE(protocol_tcp),
		CASE(flags),		CASE(other_types),
		CASE(other_protocols),	CASE(pair_of_sockets),
		CASE(link_name),	CASE(duplicate),
		CASE(inherited),	CASE(passed),
		CASE(not_seekable),	CASE(many_unused),
	};

	return RUN_CASES(cases);
}
