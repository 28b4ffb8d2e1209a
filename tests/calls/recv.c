// SPDX-License-Identifier: GPL-2.0
/* Receiving, in all its spellings. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>

/* A pair whose first end has so many bytes of the pattern to read. */
static struct pair with_data(size_t length)
{
	struct pair pair = make_pair();

	send_pattern(pair.peer, 0, length);
	for (int i = 0; i < 200; i++) {
		int waiting = 0;

		OK(ioctl(pair.fd, SIOCINQ, &waiting));
		if ((size_t)waiting == length)
			return pair;
		sleep_ms(10);
	}
	FAIL("%zu bytes do not arrive", length);
}

static void spellings(void)
{
	struct pair pair = with_data(700);
	char bytes[700];
	struct iovec iov[3];
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 3 };
	struct mmsghdr messages[2] = { 0 };
	union address name;
	socklen_t length = sizeof(name);

	EQ(read(pair.fd, bytes, 100), 100);
	EQ(recv(pair.fd, bytes + 100, 100, 0), 100);
	/* A stream has no sender's address. */
	EQ(recvfrom(pair.fd, bytes + 200, 100, 0, &name.any,
		    &length), 100);
	EQ(length, 0);
	iov[0] = (struct iovec){ bytes + 300, 1 };
	iov[1] = (struct iovec){ bytes + 301, 0 };
	iov[2] = (struct iovec){ bytes + 301, 99 };
	EQ(readv(pair.fd, iov, 3), 100);
	iov[0].iov_base = bytes + 400;
	iov[1].iov_base = bytes + 401;
	iov[2].iov_base = bytes + 401;
	EQ(recvmsg(pair.fd, &message, 0), 100);
	EQ(message.msg_flags, 0);
	EQ(message.msg_namelen, 0);
	iov[0] = (struct iovec){ bytes + 500, 100 };
	iov[1] = (struct iovec){ bytes + 600, 100 };
	for (int i = 0; i < 2; i++) {
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	EQ(recvmmsg(pair.fd, messages, 2, 0, NULL), 2);
	EQ(messages[0].msg_len, 100);
	EQ(messages[1].msg_len, 100);
	pattern_check(bytes, 0, sizeof(bytes));
}

static void no_more_than_there_is(void)
{
	struct pair pair = with_data(10);
	char bytes[100];

	EQ(recv(pair.fd, bytes, 4, 0), 4);
	EQ(recv(pair.fd, bytes + 4, 96, 0), 6);
	pattern_check(bytes, 0, 10);
	FAILS(recv(pair.fd, bytes, 100, MSG_DONTWAIT), EAGAIN);
}

static void across_segments(void)
{
	struct pair pair = make_pair();
	char bytes[100];

	for (int i = 0; i < 10; i++) {
		send_pattern(pair.peer, i * 10, 10);
		sleep_ms(5);
	}
	sleep_ms(100);
	EQ(recv(pair.fd, bytes, 100, 0), 100);
	pattern_check(bytes, 0, 100);
}

static void dont_wait(void)
{
	struct pair pair = make_pair();
	char byte;

	FAILS(recv(pair.fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	set_nonblocking(pair.fd, true);
	FAILS(recv(pair.fd, &byte, 1, 0), EAGAIN);
	FAILS(read(pair.fd, &byte, 1), EAGAIN);
	FAILS(recv(pair.fd, &byte, 1, MSG_WAITALL), EAGAIN);
}

static void peek(void)
{
	struct pair pair = with_data(100);
	char bytes[200];
	int waiting;

	memset(bytes, 0, sizeof(bytes));
	EQ(recv(pair.fd, bytes, 50, MSG_PEEK), 50);
	pattern_check(bytes, 0, 50);
	memset(bytes, 0, sizeof(bytes));
	EQ(recv(pair.fd, bytes, 200, MSG_PEEK), 100);
	pattern_check(bytes, 0, 100);
	OK(ioctl(pair.fd, SIOCINQ, &waiting));
	EQ(waiting, 100);
	recv_pattern(pair.fd, 0, 100);
	FAILS(recv(pair.fd, bytes, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
}

static void send_in_parts(void *argument)
{
	int fd = *(int *)argument;

	for (int i = 0; i < 5; i++) {
		sleep_ms(40);
		send_pattern(fd, i * 100, 100);
	}
}

static void wait_all(void)
{
	struct pair pair = make_pair();
	pid_t child = start(send_in_parts, &pair.peer);
	char bytes[500];

	EQ(recv(pair.fd, bytes, 500, MSG_WAITALL), 500);
	pattern_check(bytes, 0, 500);
	finish(child);
}

static void wait_all_until_end(void)
{
	struct pair pair = make_pair();
	pid_t child = start(send_in_parts, &pair.peer);
	char bytes[1000];

	close(pair.peer);
	EQ(recv(pair.fd, bytes, 1000, MSG_WAITALL), 500);
	pattern_check(bytes, 0, 500);
	expect_end(pair.fd);
	finish(child);
}

static void wait_all_interrupted(void)
{
	struct pair pair = with_data(100);
	char bytes[1000];

	interrupt_after(200, 0);
	EQ(recv(pair.fd, bytes, 1000, MSG_WAITALL), 100);
	pattern_check(bytes, 0, 100);
}

static void without_wait_all(void)
{
	struct pair pair = with_data(100);
	char bytes[1000];

	EQ(recv(pair.fd, bytes, 1000, 0), 100);
}

/* On a stream MSG_TRUNC throws bytes away. */
static void discard(void)
{
	struct pair pair = with_data(100);
	char bytes[100];

	memset(bytes, 'z', sizeof(bytes));
	EQ(recv(pair.fd, bytes, 60, MSG_TRUNC), 60);
	EQ(bytes[0], 'z');
	EQ(recv(pair.fd, NULL, 10, MSG_TRUNC), 10);
	recv_pattern(pair.fd, 70, 30);
}

static void wait_until_end(void *argument)
{
	char byte;

	EQ(recv(*(int *)argument, &byte, 1, 0), 1);
	EQ(byte, '.');
	EQ(recv(*(int *)argument, &byte, 1, 0), 0);
}

static void waits(void)
{
	struct pair pair = make_pair();
	pid_t child = start(wait_until_end, &pair.fd);

	sleep_ms(100);
	send_all(pair.peer, ".", 1);
	sleep_ms(100);
	OK(shutdown(pair.peer, SHUT_WR));
	finish(child);
}

static void timeout(void)
{
	struct pair pair = make_pair();
	struct timeval limit = { .tv_usec = 200000 };
	socklen_t length = sizeof(limit);
	long long before;
	char byte;

	OK(setsockopt(pair.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	limit.tv_usec = 0;
	OK(getsockopt(pair.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &length));
	EQ(limit.tv_usec, 200000);
	before = now_ms();
	FAILS(recv(pair.fd, &byte, 1, 0), EAGAIN);
	/* Jiffies of an emulated processor may lag when the wait begins. */
	BETWEEN(now_ms() - before, 50, 3000);
	send_all(pair.peer, "abc", 3);
	EQ(recv(pair.fd, &byte, 1, 0), 1);
}

static void timeout_keeps_part(void)
{
	struct pair pair = with_data(10);
	struct timeval limit = { .tv_usec = 200000 };
	char bytes[20];

	OK(setsockopt(pair.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	EQ(recv(pair.fd, bytes, 20, MSG_WAITALL), 10);
}

static void interrupted(void)
{
	struct pair pair = make_pair();
	long long before = now_ms();
	char byte;

	interrupt_after(200, 0);
	FAILS(recv(pair.fd, &byte, 1, 0), EINTR);
	BETWEEN(now_ms() - before, 150, 3000);
}

static void send_late(void *argument)
{
	sleep_ms(300);
	send_all(*(int *)argument, "x", 1);
}

static void restarted(void)
{
	struct pair pair = make_pair();
	pid_t child = start(send_late, &pair.peer);
	char byte;

	interrupt_after(100, SA_RESTART);
	EQ(recv(pair.fd, &byte, 1, 0), 1);
	finish(child);
}

/* With a time limit a call is not restarted, whatever the handler says. */
static void timeout_not_restarted(void)
{
	struct pair pair = make_pair();
	struct timeval limit = { .tv_sec = 10 };
	char byte;

	OK(setsockopt(pair.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	interrupt_after(100, SA_RESTART);
	FAILS(recv(pair.fd, &byte, 1, 0), EINTR);
}

static void bad_memory(void)
{
	struct pair pair = with_data(8192);
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	OK(munmap(page + 4096, 4096));
	FAILS(recv(pair.fd, (void *)8, 10, 0), EFAULT);
	/* Nothing is lost. */
	recv_pattern(pair.fd, 0, 8192);
}

static void nothing(void)
{
	struct pair pair = with_data(10);
	char byte;

	EQ(read(pair.fd, &byte, 0), 0);
	EQ(recv(pair.fd, &byte, 0, 0), 0);
	recv_pattern(pair.fd, 0, 10);
	FAILS(recv(pair.fd, &byte, 0, MSG_DONTWAIT), EAGAIN);
}

static void never_connected(void)
{
	int fd = make_socket(0);
	char byte;

	FAILS(recv(fd, &byte, 1, 0), ENOTCONN);
	FAILS(recv(bound(family(), 0), &byte, 1, 0), ENOTCONN);
}

static void no_urgent_data(void)
{
	struct pair pair = with_data(10);
	char byte;

	FAILS(recv(pair.fd, &byte, 1, MSG_OOB), EINVAL);
	FAILS(recv(pair.fd, &byte, 1, MSG_ERRQUEUE), EAGAIN);
}

static void end_repeats(void)
{
	struct pair pair = with_data(10);

	close(pair.peer);
	recv_pattern(pair.fd, 0, 10);
	for (int i = 0; i < 3; i++)
		expect_end(pair.fd);
}

static void waiting_bytes(void)
{
	struct pair pair = with_data(1000);
	int waiting;

	recv_pattern(pair.fd, 0, 400);
	OK(ioctl(pair.fd, FIONREAD, &waiting));
	EQ(waiting, 600);
	recv_pattern(pair.fd, 400, 600);
	OK(ioctl(pair.fd, FIONREAD, &waiting));
	EQ(waiting, 0);
	OK(ioctl(pair.peer, SIOCOUTQ, &waiting));
	EQ(waiting, 0);
}

/* Two who read one stream share it; each byte goes to one of them. */
static void take_part(void *argument)
{
	char bytes[100];

	EQ(recv(*(int *)argument, bytes, 100, MSG_WAITALL), 100);
}

static void several_readers(void)
{
	struct pair pair = make_pair();
	pid_t first = start(take_part, &pair.fd);
	pid_t second = start(take_part, &pair.fd);

	for (int i = 0; i < 20; i++) {
		send_pattern(pair.peer, 0, 10);
		sleep_ms(2);
	}
	finish(first);
	finish(second);
	FAILS(recv(pair.fd, &first, 1, MSG_DONTWAIT), EAGAIN);
}

static void splice_to_pipe(void)
{
	struct pair pair = with_data(5000);
	char bytes[5000];
	size_t got = 0;
	int ends[2];

	OK(pipe(ends));
	while (got < sizeof(bytes)) {
		ssize_t moved = OK(splice(pair.fd, NULL, ends[1], NULL,
					  sizeof(bytes) - got, 0));

		CHECK(moved > 0);
		EQ(read(ends[0], bytes + got, moved), moved);
		got += moved;
	}
	pattern_check(bytes, 0, sizeof(bytes));
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(spellings),	CASE(no_more_than_there_is),
		CASE(across_segments),	CASE(dont_wait),
		CASE(peek),		CASE(wait_all),
		CASE(wait_all_until_end), CASE(wait_all_interrupted),
		CASE(without_wait_all),	CASE(discard),
		CASE(waits),		CASE(timeout),
		CASE(timeout_keeps_part), CASE(interrupted),
		CASE(restarted),	CASE(timeout_not_restarted),
		CASE(bad_memory),	CASE(nothing),
		CASE(never_connected),	CASE(no_urgent_data),
		CASE(end_repeats),	CASE(waiting_bytes),
		CASE(several_readers),	CASE(splice_to_pipe),
	};

	return RUN_CASES(cases);
}
