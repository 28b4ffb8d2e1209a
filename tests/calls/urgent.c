// SPDX-License-Identifier: GPL-2.0
/* Urgent data, sent and received. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

static void until_waiting(int fd, int events)
{
	struct pollfd poller = { .fd = fd, .events = events };

	EQ(poll(&poller, 1, 5000), 1);
	CHECK(poller.revents & events);
}

/* Sends bytes, the last of which is urgent, and more. */
static struct pair with_mark(const char *before, const char *after)
{
	struct pair pair = make_pair();

	EQ(send(pair.peer, before, strlen(before), MSG_OOB), strlen(before));
	if (*after)
		EQ(send(pair.peer, after, strlen(after), 0), strlen(after));
	until_waiting(pair.fd, POLLPRI);
	sleep_ms(20);
	return pair;
}

static int at_mark(int fd)
{
	int answer = -1;

	OK(ioctl(fd, SIOCATMARK, &answer));
	return answer;
}

static int waiting_bytes(int fd)
{
	int answer = -1;

	OK(ioctl(fd, SIOCINQ, &answer));
	return answer;
}

static void apart_from_the_stream(void)
{
	struct pair pair = with_mark("abcX", "def");
	struct msghdr message = { 0 };
	struct iovec iov;
	char bytes[16];

	EQ(waiting_bytes(pair.fd), 3);
	EQ(at_mark(pair.fd), 0);
	EQ(recv(pair.fd, bytes, sizeof(bytes), 0), 3);
	CHECK(!memcmp(bytes, "abc", 3));
	EQ(at_mark(pair.fd), 1);
	iov = (struct iovec){ bytes, sizeof(bytes) };
	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	EQ(recvmsg(pair.fd, &message, MSG_OOB | MSG_PEEK), 1);
	EQ(message.msg_flags, MSG_OOB);
	EQ(bytes[0], 'X');
	EQ(recv(pair.fd, bytes, sizeof(bytes), MSG_OOB), 1);
	EQ(bytes[0], 'X');
	FAILS(recv(pair.fd, bytes, sizeof(bytes), MSG_OOB), EINVAL);
	EQ(at_mark(pair.fd), 1);
	EQ(recv(pair.fd, bytes, sizeof(bytes), 0), 3);
	CHECK(!memcmp(bytes, "def", 3));
	EQ(at_mark(pair.fd), 0);
	FAILS(recv(pair.fd, bytes, sizeof(bytes), MSG_OOB), EINVAL);
}

static void not_taken_it_is_lost(void)
{
	struct pair pair = with_mark("aX", "b");
	char bytes[16];

	EQ(recv(pair.fd, bytes, 16, 0), 1);
	EQ(recv(pair.fd, bytes, 16, 0), 1);
	EQ(bytes[0], 'b');
	FAILS(recv(pair.fd, bytes, 16, MSG_OOB), EINVAL);
}

static void inline_in_the_stream(void)
{
	struct pair pair = make_pair();
	struct pollfd poller = { .fd = pair.fd, .events = POLLPRI | POLLIN };
	int on = 1;
	char bytes[16];

	OK(setsockopt(pair.fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)));
	EQ(send(pair.peer, "abX", 3, MSG_OOB), 3);
	until_waiting(pair.fd, POLLPRI);
	sleep_ms(20);
	EQ(poll(&poller, 1, 0), 1);
	EQ(poller.revents, POLLPRI | POLLIN);
	EQ(waiting_bytes(pair.fd), 3);
	FAILS(recv(pair.fd, bytes, 16, MSG_OOB), EINVAL);
	EQ(recv(pair.fd, bytes, 16, 0), 2);
	EQ(at_mark(pair.fd), 1);
	EQ(recv(pair.fd, bytes, 16, 0), 1);
	EQ(bytes[0], 'X');
	EQ(at_mark(pair.fd), 0);
}

static void peek_over_the_mark(void)
{
	struct pair pair = with_mark("aX", "bc");
	char bytes[16];

	EQ(recv(pair.fd, bytes, 16, MSG_PEEK), 1);
	EQ(recv(pair.fd, bytes, 1, 0), 1);
	EQ(recv(pair.fd, bytes, 16, MSG_PEEK), 2);
	CHECK(!memcmp(bytes, "bc", 2));
	EQ(at_mark(pair.fd), 1);
	EQ(recv(pair.fd, bytes, 16, MSG_OOB), 1);
	EQ(bytes[0], 'X');
	EQ(recv(pair.fd, bytes, 16, 0), 2);
}

static void none(void)
{
	struct pair pair = make_pair();
	char bytes[4];

	FAILS(recv(pair.fd, bytes, 4, MSG_OOB), EINVAL);
	EQ(at_mark(pair.fd), 0);
}

static void without_room(void)
{
	struct pair pair = with_mark("X", "");
	struct msghdr message = { 0 };

	EQ(recvmsg(pair.fd, &message, MSG_OOB), 0);
	EQ(message.msg_flags, MSG_OOB | MSG_TRUNC);
}

static void poll_sees_no_data_at_the_mark(void)
{
	struct pair pair = with_mark("X", "");
	struct pollfd poller = { .fd = pair.fd, .events = POLLPRI | POLLIN };
	char bytes[4];

	EQ(poll(&poller, 1, 0), 1);
	EQ(poller.revents, POLLPRI);
	EQ(recv(pair.fd, bytes, 4, MSG_OOB), 1);
	EQ(poll(&poller, 1, 0), 0);
}

static volatile sig_atomic_t urged;

static void urge(int number)
{
	(void)number;
	urged++;
}

static void signal_tells(void)
{
	struct pair pair = make_pair();

	signal(SIGURG, urge);
	OK(fcntl(pair.fd, F_SETOWN, getpid()));
	EQ(send(pair.peer, "X", 1, MSG_OOB), 1);
	for (int i = 0; i < 200 && !urged; i++)
		sleep_ms(10);
	EQ(urged, 1);
}

static void second_replaces_first(void)
{
	struct pair pair = with_mark("X", "");
	char bytes[16];

	EQ(send(pair.peer, "abY", 3, MSG_OOB), 3);
	sleep_ms(50);
	EQ(recv(pair.fd, bytes, 16, MSG_OOB), 1);
	EQ(bytes[0], 'Y');
	EQ(recv(pair.fd, bytes, 16, 0), 2);
	CHECK(!memcmp(bytes, "ab", 2));
	EQ(at_mark(pair.fd), 1);
}

static void in_bulk(void)
{
	enum { SIZE = 300000 };
	struct pair pair = make_pair();
	static char sent[SIZE], got[SIZE];
	size_t have = 0;
	char byte = 0;

	memset(sent, 'd', SIZE);
	sent[SIZE / 2] = 'U';
	if (OK(fork()) == 0) {
		EQ(send(pair.peer, sent, SIZE / 2 + 1, MSG_OOB), SIZE / 2 + 1);
		EQ(send(pair.peer, sent + SIZE / 2 + 1, SIZE / 2 - 1, 0),
		   SIZE / 2 - 1);
		_exit(0);
	}
	while (have < SIZE - 1) {
		ssize_t n = OK(recv(pair.fd, got + have, SIZE - have, 0));

		CHECK(n > 0);
		have += n;
		if (have == SIZE / 2) {
			EQ(at_mark(pair.fd), 1);
			until_waiting(pair.fd, POLLPRI);
			EQ(recv(pair.fd, &byte, 1, MSG_OOB), 1);
		}
	}
	EQ(byte, 'U');
	CHECK(!memchr(got, 'U', SIZE - 1));
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(apart_from_the_stream),	CASE(not_taken_it_is_lost),
		CASE(inline_in_the_stream),	CASE(peek_over_the_mark),
		CASE(none),			CASE(without_room),
		CASE(poll_sees_no_data_at_the_mark), CASE(signal_tells),
		CASE(second_replaces_first),	CASE(in_bulk),
	};

	return RUN_CASES(cases);
}
