// SPDX-License-Identifier: GPL-2.0
/* Sending, in all its spellings. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

static void spellings(void)
{
	struct pair pair = make_pair();
	char bytes[700];
	struct iovec iov[3];
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 3 };
	struct mmsghdr messages[2] = { 0 };
	union address elsewhere = loopback(9);

	pattern_fill(bytes, 0, sizeof(bytes));
	EQ(write(pair.fd, bytes, 100), 100);
	EQ(send(pair.fd, bytes + 100, 100, 0), 100);
	/* On a connected stream the address does not matter. */
	EQ(sendto(pair.fd, bytes + 200, 100, 0, (struct sockaddr *)&elsewhere,
		  sizeof(elsewhere)), 100);
	iov[0] = (struct iovec){ bytes + 300, 1 };
	iov[1] = (struct iovec){ bytes + 301, 0 };
	iov[2] = (struct iovec){ bytes + 301, 99 };
	EQ(writev(pair.fd, iov, 3), 100);
	iov[0].iov_base = bytes + 400;
	iov[1].iov_base = bytes + 401;
	iov[2].iov_base = bytes + 401;
	EQ(sendmsg(pair.fd, &message, 0), 100);
	iov[0] = (struct iovec){ bytes + 500, 100 };
	iov[1] = (struct iovec){ bytes + 600, 100 };
	for (int i = 0; i < 2; i++) {
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	EQ(sendmmsg(pair.fd, messages, 2, 0), 2);
	EQ(messages[0].msg_len, 100);
	EQ(messages[1].msg_len, 100);
	recv_pattern(pair.peer, 0, 700);
}

static void nothing(void)
{
	struct pair pair = make_pair();
	char byte;

	EQ(write(pair.fd, "", 0), 0);
	EQ(send(pair.fd, "", 0, 0), 0);
	FAILS(recv(pair.peer, &byte, 1, MSG_DONTWAIT), EAGAIN);
}

static void each_length(void)
{
	struct pair pair = make_pair();
	uint64_t place = 0;

	for (size_t length = 1; length < 70000; length += length / 3 + 1) {
		send_pattern(pair.fd, place, length);
		recv_pattern(pair.peer, place, length);
		place += length;
	}
}

static void receive_much(void *argument)
{
	recv_pattern(*(int *)argument, 0, 8 << 20);
}

/* One call with more than any buffer holds blocks until all is taken. */
static void one_large_call(void)
{
	struct pair pair = make_pair();
	char *bytes = malloc(8 << 20);
	pid_t child = start(receive_much, &pair.peer);

	CHECK(bytes);
	pattern_fill(bytes, 0, 8 << 20);
	EQ(send(pair.fd, bytes, 8 << 20, 0), 8 << 20);
	finish(child);
}

static void dont_wait(void)
{
	struct pair pair = make_pair_with(20000, 20000);
	size_t sent = fill(pair.fd);

	CHECK(sent > 10000);
	FAILS(send(pair.fd, "x", 1, MSG_DONTWAIT), EAGAIN);
	set_nonblocking(pair.fd, true);
	FAILS(send(pair.fd, "x", 1, 0), EAGAIN);
	FAILS(write(pair.fd, "x", 1), EAGAIN);
	CHECK(!(events_now(pair.fd) & POLLOUT));
}

/* A call that cannot place all places what it can. */
static void short_count(void)
{
	struct pair pair = make_pair_with(20000, 20000);
	static char bytes[4 << 20];
	ssize_t first;
	ssize_t sent;

	pattern_fill(bytes, 0, sizeof(bytes));
	first = OK(send(pair.fd, bytes, sizeof(bytes), MSG_DONTWAIT));
	CHECK(first > 0 && (size_t)first < sizeof(bytes));
	recv_pattern(pair.peer, 0, first);
	CHECK(poll_for(pair.fd, POLLOUT, 2000) & POLLOUT);
	sent = OK(send(pair.fd, bytes + first, sizeof(bytes) - first,
		       MSG_DONTWAIT));
	recv_pattern(pair.peer, first, sent);
}

static void timeout(void)
{
	struct pair pair = make_pair_with(20000, 20000);
	struct timeval limit = { .tv_usec = 300000 };
	static char bytes[4 << 20];
	long long before;
	ssize_t sent;

	OK(setsockopt(pair.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	before = now_ms();
	sent = OK(send(pair.fd, bytes, sizeof(bytes), 0));
	CHECK(sent > 0 && (size_t)sent < sizeof(bytes));
	BETWEEN(now_ms() - before, 250, 10000);
	fill(pair.fd);
	before = now_ms();
	FAILS(send(pair.fd, bytes, 1 << 20, 0), EAGAIN);
	BETWEEN(now_ms() - before, 250, 3000);
}

static void interrupted(void)
{
	struct pair pair = make_pair_with(20000, 20000);
	static char bytes[4 << 20];
	ssize_t sent;

	interrupt_after(300, 0);
	sent = OK(send(pair.fd, bytes, sizeof(bytes), 0));
	CHECK(sent > 0 && (size_t)sent < sizeof(bytes));
	fill(pair.fd);
	interrupt_after(200, 0);
	FAILS(send(pair.fd, bytes, sizeof(bytes), 0), EINTR);
}

static void drain_slowly(void *argument)
{
	sleep_ms(300);
	recv_pattern(*(int *)argument, 0, 1 << 20);
}

static void wakes_when_drained(void)
{
	struct pair pair = make_pair_with(20000, 20000);
	pid_t child = start(drain_slowly, &pair.peer);

	send_pattern(pair.fd, 0, 1 << 20);
	finish(child);
}

static void not_connected(void)
{
	int fd = make_socket(0);

	FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	FAILS(send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), EPIPE);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int signal)
{
	(void)signal;
	pipes++;
}

static void after_shutdown(void)
{
	struct pair pair = make_pair();

	signal(SIGPIPE, on_pipe);
	OK(shutdown(pair.fd, SHUT_WR));
	FAILS(send(pair.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	EQ(pipes, 0);
	FAILS(send(pair.fd, "x", 1, 0), EPIPE);
	EQ(pipes, 1);
	FAILS(write(pair.fd, "x", 1), EPIPE);
	EQ(pipes, 2);
}

static void die_of_pipe(void *argument)
{
	int fd = *(int *)argument;

	OK(shutdown(fd, SHUT_WR));
	write(fd, "x", 1) < 0 ? FAIL("the signal did not come") : FAIL("sent");
}

static void pipe_signal_ends(void)
{
	struct pair pair = make_pair();
	pid_t child = start(die_of_pipe, &pair.fd);
	int status;

	EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

static void bad_memory(void)
{
	struct pair pair = make_pair();
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	OK(munmap(page + 4096, 4096));
	FAILS(send(pair.fd, (void *)8, 10, 0), EFAULT);
	/* Nothing of the failed call is in the stream. */
	pattern_fill(page, 0, 4096);
	EQ(send(pair.fd, page, 100, 0), 100);
	recv_pattern(pair.peer, 0, 100);
}

/* With MSG_MORE a part of a segment waits for the rest of it. */
static void more(void)
{
	struct pair pair = make_pair();
	char bytes[20];

	EQ(send(pair.fd, "abc", 3, MSG_MORE), 3);
	EQ_BITS(poll_for(pair.peer, POLLIN, 50), 0);
	EQ(send(pair.fd, "def", 3, 0), 3);
	CHECK(poll_for(pair.peer, POLLIN, 1000) & POLLIN);
	EQ(recv(pair.peer, bytes, sizeof(bytes), 0), 6);
	CHECK(memcmp(bytes, "abcdef", 6) == 0);
}

static void more_is_not_forever(void)
{
	struct pair pair = make_pair();
	char bytes[20];

	EQ(send(pair.fd, "abc", 3, MSG_MORE), 3);
	CHECK(poll_for(pair.peer, POLLIN, 3000) & POLLIN);
	EQ(recv(pair.peer, bytes, sizeof(bytes), 0), 3);
}

static void more_then_end(void)
{
	struct pair pair = make_pair();
	char bytes[13];

	send_pattern(pair.fd, 0, 10);
	EQ(send(pair.fd, "abc", 3, MSG_MORE), 3);
	close(pair.fd);
	recv_all(pair.peer, bytes, sizeof(bytes));
	expect_end(pair.peer);
}

static void ignored_flags(void)
{
	struct pair pair = make_pair();

	EQ(send(pair.fd, "a", 1, MSG_DONTROUTE), 1);
	EQ(send(pair.fd, "b", 1, MSG_CONFIRM), 1);
	EQ(send(pair.fd, "c", 1, MSG_EOR), 1);
	EQ(send(pair.fd, "d", 1, 0x1000000), 1);
}

static void bad_control(void)
{
	struct pair pair = make_pair();
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = 12345;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	FAILS(sendmsg(pair.fd, &message, 0), EINVAL);
	/* Other levels are not the stream's business. */
	header->cmsg_level = IPPROTO_UDP;
	EQ(sendmsg(pair.fd, &message, 0), 1);
}

static void to_reader_gone(void)
{
	struct pair pair = make_pair();

	close(pair.peer);
	await_state(pair.fd, STATE_CLOSE_WAIT);
	/* The first is sent, and answered with RST: EPIPE, not ECONNRESET. */
	EQ(send(pair.fd, "x", 1, MSG_NOSIGNAL), 1);
	await_state(pair.fd, STATE_CLOSE);
	FAILS(send(pair.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
}

/* sendfile puts a file's pages in the stream. */
static void file(void)
{
	struct pair pair = make_pair();
	char name[] = "/tmp/oxtcp-sendXXXXXX";
	static char bytes[100000];
	int from = OK(mkstemp(name));
	off_t place = 1000;
	size_t left = sizeof(bytes) - 1000;

	unlink(name);
	pattern_fill(bytes, 0, sizeof(bytes));
	EQ(write(from, bytes, sizeof(bytes)), sizeof(bytes));
	while (left) {
		ssize_t sent = OK(sendfile(pair.fd, from, &place, left));

		CHECK(sent > 0);
		recv_pattern(pair.peer, place - sent, sent);
		left -= sent;
	}
	EQ(place, sizeof(bytes));
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(spellings),	CASE(nothing),
		CASE(each_length),	CASE(one_large_call),
		CASE(dont_wait),	CASE(short_count),
		CASE(timeout),		CASE(interrupted),
		CASE(wakes_when_drained), CASE(not_connected),
		CASE(after_shutdown),	CASE(pipe_signal_ends),
		CASE(bad_memory),	CASE(more),
		CASE(more_is_not_forever), CASE(more_then_end),
		CASE(ignored_flags),	CASE(bad_control),
		CASE(to_reader_gone),	CASE(file),
	};

	return RUN_CASES(cases);
}
