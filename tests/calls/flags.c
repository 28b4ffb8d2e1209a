// SPDX-License-Identifier: GPL-2.0
/* What flags and unusual messages do to sends and receives. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char bytes[65536];

static struct pair with_text(const char *text)
{
	struct pair pair = make_pair();

	send_all(pair.peer, text, strlen(text));
	for (int i = 0; i < 200; i++) {
		int there;

		OK(ioctl(pair.fd, SIOCINQ, &there));
		if (there == (int)strlen(text))
			return pair;
		sleep_ms(10);
	}
	FAIL("nothing comes");
}

/* This text, no more, and with this many bytes wanted. */
static void expect_text(int fd, size_t wanted, int flags, const char *text)
{
	memset(bytes, 0, 100);
	EQ(recv(fd, bytes, wanted, flags), strlen(text));
	if (strncmp(bytes, text, strlen(text)) != 0)
		FAIL("%s, not %s", bytes, text);
}

static int peek_offset(int fd)
{
	return get_option(fd, SOL_SOCKET, SO_PEEK_OFF);
}

static void peek_offset_moves(void)
{
	struct pair pair = with_text("abcdefghij");

	EQ(peek_offset(pair.fd), -1);
	expect_text(pair.fd, 3, MSG_PEEK, "abc");
	EQ(peek_offset(pair.fd), -1);
	set_option(pair.fd, SOL_SOCKET, SO_PEEK_OFF, 0);
	expect_text(pair.fd, 3, MSG_PEEK, "abc");
	expect_text(pair.fd, 3, MSG_PEEK, "def");
	EQ(peek_offset(pair.fd), 6);
	/* To read moves the start of the stream beneath it. */
	expect_text(pair.fd, 2, 0, "ab");
	EQ(peek_offset(pair.fd), 4);
	expect_text(pair.fd, 100, MSG_PEEK, "ghij");
	EQ(peek_offset(pair.fd), 8);
	FAILS(recv(pair.fd, bytes, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	expect_text(pair.fd, 100, 0, "cdefghij");
	EQ(peek_offset(pair.fd), 0);
	send_all(pair.peer, "klm", 3);
	expect_text(pair.fd, 1, MSG_PEEK, "k");
	set_option(pair.fd, SOL_SOCKET, SO_PEEK_OFF, 2);
	expect_text(pair.fd, 100, MSG_PEEK, "m");
	set_option(pair.fd, SOL_SOCKET, SO_PEEK_OFF, -1);
	expect_text(pair.fd, 100, MSG_PEEK, "klm");
	expect_text(pair.fd, 100, MSG_PEEK, "klm");
}

static void peek_offset_beyond(void)
{
	struct timeval limit = { .tv_usec = 50000 };
	struct pair pair = with_text("abc");

	OK(setsockopt(pair.fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
		      sizeof(limit)));
	set_option(pair.fd, SOL_SOCKET, SO_PEEK_OFF, 5);
	FAILS(recv(pair.fd, bytes, 1, MSG_PEEK), EAGAIN);
	send_all(pair.peer, "defg", 4);
	expect_text(pair.fd, 100, MSG_PEEK, "fg");
	EQ(peek_offset(pair.fd), 7);
	OK(shutdown(pair.peer, SHUT_WR));
	await_state(pair.fd, STATE_CLOSE_WAIT);
	EQ(recv(pair.fd, bytes, 1, MSG_PEEK), 0);
	EQ(recv(pair.fd, bytes, 100, MSG_TRUNC), 7);
	EQ(peek_offset(pair.fd), 0);
}

static void peek_offset_of_child(void)
{
	union address address;
	int fd = listener(1, &address);
	int child;

	set_option(fd, SOL_SOCKET, SO_PEEK_OFF, 3);
	OK(connect_to(make_socket_of(peer_family(), 0), &address));
	child = accept_one(fd);
	EQ(peek_offset(child), 3);
	EQ(peek_offset(make_socket(0)), -1);
}

static void peek_and_drop(void)
{
	struct pair pair = with_text("abcdef");

	bytes[0] = '?';
	EQ(recv(pair.fd, bytes, 4, MSG_PEEK | MSG_TRUNC), 4);
	EQ(bytes[0], '?');
	EQ(recv(pair.fd, NULL, 100, MSG_PEEK | MSG_TRUNC), 6);
	EQ(recv(pair.fd, NULL, 2, MSG_TRUNC), 2);
	expect_text(pair.fd, 100, 0, "cdef");
}

static void send_later(void *argument)
{
	int fd = *(int *)argument;

	sleep_ms(100);
	send_all(fd, "defghi", 6);
	sleep_ms(100);
	send_all(fd, "jkl", 3);
}

static void peek_for_all(void)
{
	struct pair pair = with_text("abc");
	pid_t sender = start(send_later, &pair.peer);

	expect_text(pair.fd, 10, MSG_PEEK | MSG_WAITALL, "abcdefghij");
	expect_text(pair.fd, 12, MSG_WAITALL, "abcdefghijkl");
	finish(sender);
	send_all(pair.peer, "xyz", 3);
	OK(shutdown(pair.peer, SHUT_WR));
	expect_text(pair.fd, 10, MSG_PEEK | MSG_WAITALL, "xyz");
	expect_text(pair.fd, 10, MSG_WAITALL, "xyz");
}

static void all_until_error(void)
{
	struct pair pair = with_text("abc");
	pid_t child = OK(fork());

	if (child == 0) {
		sleep_ms(100);
		linger_zero(pair.peer);
		close(pair.peer);
		_exit(0);
	}
	close(pair.peer);
	expect_text(pair.fd, 10, MSG_WAITALL, "abc");
	FAILS(recv(pair.fd, bytes, 10, MSG_WAITALL), ECONNRESET);
	EQ(recv(pair.fd, bytes, 10, MSG_WAITALL), 0);
	finish(child);
}

static void all_until_mark(void)
{
	struct pair pair = with_text("abc");

	EQ(send(pair.peer, "de!", 3, MSG_OOB), 3);
	send_all(pair.peer, "fg", 2);
	CHECK(poll_for(pair.fd, POLLPRI, 1000));
	sleep_ms(20);
	expect_text(pair.fd, 7, MSG_WAITALL, "abcde");
	/* From the mark on, and it is not counted. */
	expect_text(pair.fd, 2, MSG_WAITALL, "fg");
}

static void peek_over_mark(void)
{
	struct pair pair = with_text("ab");

	EQ(send(pair.peer, "!", 1, MSG_OOB), 1);
	send_all(pair.peer, "cd", 2);
	CHECK(poll_for(pair.fd, POLLPRI, 1000));
	sleep_ms(20);
	expect_text(pair.fd, 10, MSG_PEEK, "ab");
	expect_text(pair.fd, 10, MSG_PEEK, "ab");
	set_option(pair.fd, SOL_SOCKET, SO_PEEK_OFF, 0);
	expect_text(pair.fd, 10, MSG_PEEK, "ab");
	expect_text(pair.fd, 10, MSG_PEEK, "cd");
	expect_text(pair.fd, 10, 0, "ab");
	expect_text(pair.fd, 10, 0, "cd");
}

static int at_mark(int fd)
{
	int value = -1;

	OK(ioctl(fd, SIOCATMARK, &value));
	return value;
}

static void urgent_octet(void)
{
	struct pair pair = with_text("ab");
	struct iovec part = { bytes, 10 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	FAILS(recv(pair.fd, bytes, 1, MSG_OOB), EINVAL);
	EQ(send(pair.peer, "c!", 2, MSG_OOB), 2);
	CHECK(poll_for(pair.fd, POLLPRI, 1000));
	EQ(at_mark(pair.fd), 0);
	expect_text(pair.fd, 1, MSG_OOB | MSG_PEEK, "!");
	EQ(recv(pair.fd, bytes, 0, MSG_OOB | MSG_PEEK), 0);
	EQ(recvmsg(pair.fd, &message, MSG_OOB | MSG_PEEK), 1);
	EQ_BITS(message.msg_flags, MSG_OOB);
	part.iov_len = 0;
	EQ(recvmsg(pair.fd, &message, MSG_OOB | MSG_PEEK), 0);
	EQ_BITS(message.msg_flags, MSG_OOB | MSG_TRUNC);
	FAILS(recv(pair.fd, (void *)8, 1, MSG_OOB | MSG_PEEK), EFAULT);
	part.iov_len = 10;
	EQ(recvmsg(pair.fd, &message, MSG_OOB), 1);
	FAILS(recv(pair.fd, bytes, 1, MSG_OOB), EINVAL);
	/* The mark stays where it was. */
	expect_text(pair.fd, 10, 0, "abc");
	EQ(at_mark(pair.fd), 1);
	send_all(pair.peer, "d", 1);
	expect_text(pair.fd, 10, 0, "d");
	EQ(at_mark(pair.fd), 0);
}

static void urgent_in_line(void)
{
	struct pair pair = make_pair();

	set_option(pair.fd, SOL_SOCKET, SO_OOBINLINE, 1);
	EQ(send(pair.peer, "ab!", 3, MSG_OOB), 3);
	send_all(pair.peer, "cd", 2);
	CHECK(poll_for(pair.fd, POLLPRI, 1000));
	sleep_ms(20);
	FAILS(recv(pair.fd, bytes, 1, MSG_OOB), EINVAL);
	expect_text(pair.fd, 10, 0, "ab");
	EQ(at_mark(pair.fd), 1);
	expect_text(pair.fd, 10, 0, "!cd");
	EQ(at_mark(pair.fd), 0);
	EQ_BITS(events_now(pair.fd) & POLLPRI, 0);
}

/* A signal at the mark is told of before the data behind it. */
static void signal_at_mark(void)
{
	struct timeval limit = { .tv_sec = 10 };
	struct pair pair = make_pair();

	EQ(send(pair.peer, "!", 1, MSG_OOB), 1);
	send_all(pair.peer, "ab", 2);
	CHECK(poll_for(pair.fd, POLLPRI, 1000));
	sleep_ms(20);
	interrupt_after(20, SA_RESTART);
	OK(setsockopt(pair.fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
		      sizeof(limit)));
	sleep_ms(50);
	expect_text(pair.fd, 10, 0, "ab");
}

static void nothing_wanted(void)
{
	struct pair pair = with_text("ab");
	struct iovec none = { bytes, 0 };
	struct msghdr message = { 0 };

	EQ(send(pair.fd, NULL, 0, 0), 0);
	EQ(sendmsg(pair.fd, &message, 0), 0);
	EQ(recvmsg(pair.fd, &message, 0), 0);
	EQ(writev(pair.fd, &none, 1), 0);
	EQ(readv(pair.fd, &none, 1), 0);
	EQ(read(pair.fd, bytes, 0), 0);
	EQ(write(pair.fd, bytes, 0), 0);
	expect_text(pair.fd, 10, 0, "ab");
	EQ(read(pair.fd, bytes, 0), 0);
	FAILS(recv(pair.fd, bytes, 0, MSG_DONTWAIT), EAGAIN);
	message.msg_iov = &none;
	message.msg_iovlen = 1025;
	FAILS(sendmsg(pair.fd, &message, 0), EMSGSIZE);
	FAILS(recvmsg(pair.fd, &message, 0), EMSGSIZE);
	FAILS(pwrite(pair.fd, bytes, 1, 0), ESPIPE);
	FAILS(pread(pair.fd, bytes, 1, 0), ESPIPE);
}

static void huge_lengths(void)
{
	struct pair pair = with_text("abc");
	size_t room = 1 << 20;
	char *memory = mmap(NULL, room, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t sent;

	CHECK(memory != MAP_FAILED);
	OK(munmap(memory + room / 2, room / 2));
	EQ(recv(pair.fd, memory, 1L << 40, 0), 3);
	/* What can be read of it is sent. */
	set_nonblocking(pair.fd, true);
	sent = OK(send(pair.fd, memory + room / 2 - 40000, 1L << 30, 0));
	BETWEEN(sent, 1, 40000);
	while (sent)
		sent -= OK(recv(pair.peer, bytes, sizeof(bytes), 0));
	FAILS(recv(pair.peer, bytes, 1, MSG_DONTWAIT), EAGAIN);
}

/* A piece whose memory is not there spoils what would go along with it. */
static void bad_pieces(void)
{
	struct pair pair = make_pair();
	struct iovec parts[2] = { { "abc", 3 }, { (void *)8, 3 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	FAILS(sendmsg(pair.fd, &message, 0), EFAULT);
	FAILS(recv(pair.peer, bytes, 1, MSG_DONTWAIT), EAGAIN);
	send_all(pair.peer, "abcdef", 6);
	CHECK(poll_for(pair.fd, POLLIN, 1000));
	parts[0].iov_base = bytes;
	FAILS(recvmsg(pair.fd, &message, 0), EFAULT);
	expect_text(pair.fd, 10, 0, "abcdef");
	message.msg_iov = (void *)8;
	FAILS(sendmsg(pair.fd, &message, 0), EFAULT);
	FAILS(recvmsg(pair.fd, &message, 0), EFAULT);
}

static void names(void)
{
	struct pair pair = with_text("abc");
	union address other = foreign(1, 9);
	char room[100];
	struct iovec part = { bytes, 100 };
	struct msghdr message = {
		.msg_name = &other, .msg_namelen = sizeof(other),
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = room, .msg_controllen = sizeof(room),
		.msg_flags = -1,
	};
	socklen_t length = sizeof(other);

	EQ(recvfrom(pair.fd, bytes, 1, 0, &other.any, &length), 1);
	EQ(length, 0);
	EQ(recvmsg(pair.fd, &message, 0), 2);
	EQ(message.msg_namelen, 0);
	EQ(message.msg_controllen, 0);
	EQ_BITS(message.msg_flags, 0);
	FAILS(recvmsg(pair.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC),
	      EAGAIN);
	other = foreign(1, 9);
	length = length_of(&other);
	EQ(sendto(pair.fd, "x", 1, 0, &other.any, length), 1);
	EQ(sendto(pair.fd, "x", 1, 0, &other.any, 1), 1);
	FAILS(sendto(pair.fd, "x", 1, 0, &other.any, 1000), EINVAL);
	FAILS(sendto(pair.fd, "x", 1, 0, (void *)8, length), EFAULT);
	FAILS(sendto(make_socket(0), "x", 1, MSG_NOSIGNAL, &other.any, length),
	      EPIPE);
	EQ(recv(pair.peer, bytes, 2, MSG_WAITALL), 2);
}

static void many_messages(void)
{
	struct pair pair = with_text("abcdef");
	struct timespec limit = { 0 };
	struct iovec parts[4];
	struct mmsghdr messages[4] = { 0 };

	for (int i = 0; i < 4; i++) {
		parts[i] = (struct iovec){ bytes + 10 * i, 2 };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	EQ(recvmmsg(pair.fd, messages, 2, 0, NULL), 2);
	EQ(memcmp(bytes + 10, "cd", 2), 0);
	EQ(recvmmsg(pair.fd, messages, 4, MSG_WAITFORONE, NULL), 1);
	EQ(messages[0].msg_len, 2);
	FAILS(recvmmsg(pair.fd, messages, 4, MSG_DONTWAIT, NULL), EAGAIN);
	/* The limit is looked at after each message. */
	send_all(pair.peer, "gh", 2);
	EQ(recvmmsg(pair.fd, messages, 4, 0, &limit), 1);

	/* An error after the first message waits for the next call. */
	send_all(pair.peer, "ij", 2);
	parts[1].iov_base = (void *)8;
	send_all(pair.peer, "kl", 2);
	sleep_ms(20);
	EQ(recvmmsg(pair.fd, messages, 4, 0, NULL), 1);
	FAILS(recvmmsg(pair.fd, messages, 1, MSG_DONTWAIT, NULL), EFAULT);
	EQ(recvmmsg(pair.fd, messages, 1, MSG_DONTWAIT, NULL), 1);

	parts[1].iov_base = bytes;
	EQ(sendmmsg(pair.fd, messages, 4, 0), 4);
	EQ(recv(pair.peer, bytes, 8, MSG_WAITALL), 8);
	parts[2].iov_base = (void *)8;
	EQ(sendmmsg(pair.fd, messages, 4, 0), 2);
	EQ(recv(pair.peer, bytes, 10, 0), 4);
	OK(shutdown(pair.fd, SHUT_WR));
	FAILS(sendmmsg(pair.fd, messages, 4, MSG_NOSIGNAL), EPIPE);
}

/* SIGPIPE comes for EPIPE alone, to the thread that called. */
static volatile sig_atomic_t told;

static void on_signal(int signal)
{
	(void)signal;
	told++;
}

static void pipe_signal(void)
{
	struct iovec part = { "x", 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct pair pair = make_pair();

	signal(SIGPIPE, on_signal);
	linger_zero(pair.peer);
	close(pair.peer);
	await_state(pair.fd, STATE_CLOSE);
	FAILS(send(pair.fd, "x", 1, 0), ECONNRESET);
	EQ(told, 0);
	FAILS(send(pair.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	EQ(told, 0);
	FAILS(send(pair.fd, "x", 1, 0), EPIPE);
	EQ(told, 1);
	FAILS(write(pair.fd, "x", 1), EPIPE);
	EQ(told, 2);
	FAILS(writev(pair.fd, &part, 1), EPIPE);
	EQ(told, 3);
	FAILS(sendmsg(pair.fd, &message, 0), EPIPE);
	EQ(told, 4);
	FAILS(write(pair.fd, "x", 0), EPIPE);
	EQ(told, 5);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(peek_offset_moves), CASE(peek_offset_beyond),
		CASE(peek_offset_of_child), CASE(peek_and_drop),
		CASE(peek_for_all),	CASE(all_until_error),
		CASE(all_until_mark),	CASE(peek_over_mark),
		CASE(urgent_octet),	CASE(urgent_in_line),
		CASE(signal_at_mark),	CASE(nothing_wanted),
		CASE(huge_lengths),	CASE(bad_pieces),
		CASE(names),		CASE(many_messages),
		CASE(pipe_signal),
	};

	return RUN_CASES(cases);
}
