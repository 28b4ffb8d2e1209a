// SPDX-License-Identifier: GPL-2.0
/* What readers are told beside the data: how much more there is, and where. */
#define _GNU_SOURCE
#include "harness.h"

#include <linux/tcp.h>
#include <string.h>

/* Reads so many bytes; what the reader is told, -1 if nothing. */
static int inq_after(int fd, void *bytes, size_t length, int flags, ssize_t got)
{
	char control[64];
	struct iovec iov = { bytes, length };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int inq;

	EQ(recvmsg(fd, &message, flags), got);
	if (got < 0)
		return -1;
	cmsg = CMSG_FIRSTHDR(&message);
	if (!cmsg)
		return -1;
	EQ(cmsg->cmsg_level, IPPROTO_TCP);
	EQ(cmsg->cmsg_type, TCP_CM_INQ);
	EQ(cmsg->cmsg_len, CMSG_LEN(sizeof(inq)));
	CHECK(!CMSG_NXTHDR(&message, cmsg));
	memcpy(&inq, CMSG_DATA(cmsg), sizeof(inq));
	return inq;
}

static struct pair with_data(size_t length)
{
	struct pair pair = make_pair();

	set_option(pair.fd, IPPROTO_TCP, TCP_INQ, 1);
	send_pattern(pair.peer, 0, length);
	sleep_ms(30);
	return pair;
}

static void of_the_option(void)
{
	union address address;
	int server = listener(4, &address);
	int fds[] = { make_socket(0), server };
	int two = 2, minus = -1, one = 1, fd;
	char bytes[40];

	for (int i = 0; i < 2; i++) {
		EQ(get_option(fds[i], IPPROTO_TCP, TCP_INQ), 0);
		FAILS(setsockopt(fds[i], IPPROTO_TCP, TCP_INQ, &two, 4),
		      EINVAL);
		FAILS(setsockopt(fds[i], IPPROTO_TCP, TCP_INQ, &minus, 4),
		      EINVAL);
		FAILS(setsockopt(fds[i], IPPROTO_TCP, TCP_INQ, &one, 3),
		      EINVAL);
		set_option(fds[i], IPPROTO_TCP, TCP_INQ, 1);
		EQ(get_option(fds[i], IPPROTO_TCP, TCP_INQ), 1);
	}
	fd = make_socket_of(peer_family(), 0);
	OK(connect_to(fd, &address));
	fds[0] = accept_one(server);
	EQ(get_option(fds[0], IPPROTO_TCP, TCP_INQ), 1);
	send_pattern(fd, 0, 100);
	sleep_ms(30);
	EQ(inq_after(fds[0], bytes, 40, 0, 40), 60);
}

static void counts_down(void)
{
	struct pair pair = with_data(10000);
	char bytes[10000];

	EQ(inq_after(pair.fd, bytes, 1000, 0, 1000), 9000);
	EQ(inq_after(pair.fd, bytes, 1000, MSG_PEEK, 1000), 9000);
	EQ(inq_after(pair.fd, bytes, 0, 0, 0), 9000);
	EQ(inq_after(pair.fd, NULL, 1000, MSG_TRUNC, 1000), 8000);
	EQ(inq_after(pair.fd, bytes, 8000, 0, 8000), 0);
	set_option(pair.fd, IPPROTO_TCP, TCP_INQ, 0);
	send_pattern(pair.peer, 0, 10);
	sleep_ms(30);
	EQ(inq_after(pair.fd, bytes, 5, 0, 5), -1);
}

static void end_counts_as_one(void)
{
	struct pair pair = with_data(3000);
	char bytes[3000];

	OK(shutdown(pair.peer, SHUT_WR));
	sleep_ms(30);
	EQ(inq_after(pair.fd, bytes, 1000, 0, 1000), 2001);
	EQ(inq_after(pair.fd, bytes, 1000, MSG_PEEK, 1000), 2001);
	EQ(inq_after(pair.fd, bytes, 2000, 0, 2000), 1);
	EQ(inq_after(pair.fd, bytes, 10, 0, 0), 1);
	EQ(inq_after(pair.fd, bytes, 10, 0, 0), 1);
}

static void with_urgent_data(void)
{
	struct pair pair = with_data(100);
	char bytes[200];

	EQ(send(pair.peer, "ab", 2, MSG_OOB), 2);
	sleep_ms(30);
	EQ(inq_after(pair.fd, bytes, 50, 0, 50), 52);
	EQ(inq_after(pair.fd, bytes, 1, MSG_OOB, 1), 52);
	EQ(inq_after(pair.fd, bytes, 200, 0, 51), 1);
}

static void errors_tell_nothing(void)
{
	struct pair pair = with_data(0);
	char bytes[10];

	EQ(inq_after(pair.fd, bytes, 10, MSG_DONTWAIT, -1), -1);
	FAILS(recv(pair.fd, bytes, 10, MSG_DONTWAIT), EAGAIN);
}

/* Readers can run where their packets come in. */
static void incoming_cpu(void)
{
	struct pair pair = make_pair();
	int fd = make_socket(0);
	int cpus = sysconf(_SC_NPROCESSORS_CONF);

	EQ(get_option(fd, SOL_SOCKET, SO_INCOMING_CPU), -1);
	BETWEEN(get_option(pair.fd, SOL_SOCKET, SO_INCOMING_CPU), 0, cpus - 1);
	BETWEEN(get_option(pair.peer, SOL_SOCKET, SO_INCOMING_CPU), 0,
		cpus - 1);
	/* What is set holds until a packet comes. */
	set_option(pair.fd, SOL_SOCKET, SO_INCOMING_CPU, 77);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_INCOMING_CPU), 77);
	send_pattern(pair.peer, 0, 10);
	recv_pattern(pair.fd, 0, 10);
	BETWEEN(get_option(pair.fd, SOL_SOCKET, SO_INCOMING_CPU), 0, cpus - 1);
}

/* The loopback device has no queue to look into. */
static void busy_polling(void)
{
	struct pair pair = make_pair();
	char byte;

	set_option(pair.fd, SOL_SOCKET, SO_BUSY_POLL, 50);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_BUSY_POLL), 50);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_INCOMING_NAPI_ID), 0);
	FAILS(recv(pair.fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	send_pattern(pair.peer, 0, 10);
	recv_pattern(pair.fd, 0, 10);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_INCOMING_NAPI_ID), 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(of_the_option),
		CASE(counts_down),
		CASE(end_counts_as_one),
		CASE(with_urgent_data),
		CASE(errors_tell_nothing),
		CASE(incoming_cpu),
		CASE(busy_polling),
	};

	return RUN_CASES(cases);
}
