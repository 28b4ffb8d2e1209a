// SPDX-License-Identifier: GPL-2.0
/* Calls that wait, and what others do with the socket meanwhile. */
#define _GNU_SOURCE
#include "states.h"

#include <linux/filter.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>

/* ---- Another thread ---- */

struct deed {
	void (*act)(int fd);
	int fd;
};

static void *act_later(void *argument)
{
	struct deed *deed = argument;

	sleep_ms(100);
	deed->act(deed->fd);
	return NULL;
}

static void later(void (*act)(int fd), int fd)
{
	static struct deed deed;
	pthread_t thread;

	deed = (struct deed){ act, fd };
	EQ(pthread_create(&thread, NULL, act_later, &deed), 0);
}

static void shut_read(int fd)
{
	OK(shutdown(fd, SHUT_RD));
}

static void shut_write(int fd)
{
	OK(shutdown(fd, SHUT_WR));
}

static void shut_both(int fd)
{
	OK(shutdown(fd, SHUT_RDWR));
}

static void disconnect(int fd)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	OK(connect(fd, &none, sizeof(none)));
}

static void close_it(int fd)
{
	OK(close(fd));
}

static void reset(int fd)
{
	linger_zero(fd);
	OK(close(fd));
}

static void send_five(int fd)
{
	for (int i = 0; i < 5; i++) {
		send_all(fd, "x", 1);
		sleep_ms(10);
	}
}

static struct pair full_pair(size_t *filled)
{
	struct pair pair = make_pair_with(16384, 16384);

	*filled = fill(pair.fd);
	return pair;
}

static void reader_and_shutdown(void)
{
	struct pair pair = make_pair();
	char byte;

	later(shut_read, pair.fd);
	EQ(recv(pair.fd, &byte, 1, 0), 0);
	pair = make_pair();
	later(shut_both, pair.fd);
	EQ(recv(pair.fd, &byte, 1, 0), 0);
	pair = make_pair();
	later(shut_read, pair.fd);
	EQ_BITS(poll_for(pair.fd, POLLIN | POLLRDHUP, 2000),
		POLLIN | POLLRDHUP);
}

static void writer_and_shutdown(void)
{
	size_t filled;
	struct pair pair = full_pair(&filled);

	later(shut_write, pair.fd);
	FAILS(send(pair.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	pair = full_pair(&filled);
	later(reset, pair.peer);
	FAILS(send(pair.fd, "x", 1, MSG_NOSIGNAL), ECONNRESET);
}

/* What was taken before is told first. */
static void writer_with_part(void)
{
	static char bytes[1 << 20];
	struct pair pair = make_pair_with(16384, 16384);

	later(shut_write, pair.fd);
	BETWEEN(send(pair.fd, bytes, sizeof(bytes), MSG_NOSIGNAL), 1000,
		sizeof(bytes) - 1);
	FAILS(send(pair.fd, bytes, 1, MSG_NOSIGNAL), EPIPE);
	pair = make_pair_with(16384, 16384);
	later(reset, pair.peer);
	BETWEEN(send(pair.fd, bytes, sizeof(bytes), MSG_NOSIGNAL), 1000,
		sizeof(bytes) - 1);
	FAILS(send(pair.fd, bytes, 1, MSG_NOSIGNAL), ECONNRESET);
	FAILS(send(pair.fd, bytes, 1, MSG_NOSIGNAL), EPIPE);
}

static void acceptor_and_shutdown(void)
{
	union address address;
	int fd = listener(1, &address);

	later(shut_read, fd);
	FAILS(accept(fd, NULL, NULL), EINVAL);
	fd = listener(1, &address);
	later(disconnect, fd);
	FAILS(accept(fd, NULL, NULL), EINVAL);
}

static int calling(union address *address, int *server)
{
	*server = listener_of(peer_family(), 1, address);
	deafen(*server);
	return make_socket(0);
}

static void caller_and_shutdown(void)
{
	union address address;
	int server;
	int fd = calling(&address, &server);

	later(shut_both, fd);
	FAILS(connect_to(fd, &address), ECONNRESET);
	FAILS(connect_to(make_socket(SOCK_NONBLOCK), &address), EINPROGRESS);
	fd = make_socket(0);
	later(disconnect, fd);
	FAILS(connect_to(fd, &address), EPIPE);
}

/* To disconnect ends what waits. */
static void disconnected_while_waiting(void)
{
	struct pair pair = make_pair();
	size_t filled;
	char byte;

	later(disconnect, pair.fd);
	FAILS(recv(pair.fd, &byte, 1, 0), EPIPE);
	pair = full_pair(&filled);
	later(disconnect, pair.fd);
	FAILS(send(pair.fd, &byte, 1, MSG_NOSIGNAL), ECONNRESET);
}

/* A call keeps the socket that another thread has closed. */
static void closed_while_waiting(void)
{
	struct pair pair = make_pair();
	char byte;

	later(close_it, pair.fd);
	interrupt_after(300, 0);
	FAILS(recv(pair.fd, &byte, 1, 0), EINTR);
	expect_end(pair.peer);
	FAILS(recv(pair.fd, &byte, 1, 0), EBADF);
}

static void listener_closed_while_waiting(void)
{
	union address address;
	int fd = listener(1, &address);

	later(close_it, fd);
	interrupt_after(300, 0);
	FAILS(accept(fd, NULL, NULL), EINTR);
	FAILS(connect_to(make_socket_of(peer_family(), 0), &address),
	      ECONNREFUSED);
}

static void reset_while_waiting(void)
{
	struct pair pair = make_pair();
	char byte;

	later(reset, pair.peer);
	FAILS(recv(pair.fd, &byte, 1, 0), ECONNRESET);
	EQ(recv(pair.fd, &byte, 1, 0), 0);
}

static void low_water_reader(void)
{
	struct pair pair = make_pair();
	char bytes[100];

	set_option(pair.fd, SOL_SOCKET, SO_RCVLOWAT, 5);
	send_all(pair.peer, "abcd", 4);
	CHECK(!poll_for(pair.fd, POLLIN, 50));
	EQ(recv(pair.fd, bytes, 100, MSG_DONTWAIT), 4);
	later(send_five, pair.peer);
	EQ(recv(pair.fd, bytes, 100, 0), 5);
	send_all(pair.peer, "abcd", 4);
	/* Less than that is enough for whom it is all he wants. */
	EQ(recv(pair.fd, bytes, 3, 0), 3);
	later(shut_write, pair.peer);
	EQ(recv(pair.fd, bytes, 100, 0), 1);
}

/* ---- Signals ---- */

static void connect_interrupted(void)
{
	union address address;
	int server;
	int fd = calling(&address, &server);

	interrupt_after(100, 0);
	FAILS(connect_to(fd, &address), EINTR);
	EQ(tcp_state(fd), STATE_SYN_SENT);
	set_nonblocking(fd, true);
	FAILS(connect_to(fd, &address), EALREADY);
}

static void hear_again(int fd)
{
	int none = 0;

	OK(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)));
}

/* The call begins anew, and finds the connection under way. */
static void connect_restarted(void)
{
	union address address;
	int server;
	int fd = calling(&address, &server);

	interrupt_after(50, SA_RESTART);
	later(hear_again, server);
	EQ(connect_to(fd, &address), 0);
	EQ(tcp_state(fd), STATE_ESTABLISHED);
	FAILS(connect_to(fd, &address), EISCONN);
}

/* With a limit on its time a call is not begun anew. */
static void connect_limited(void)
{
	struct timeval limit = { .tv_sec = 5 };
	union address address;
	int server;
	int fd = calling(&address, &server);

	OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	interrupt_after(100, SA_RESTART);
	FAILS(connect_to(fd, &address), EINTR);
	limit = (struct timeval){ .tv_usec = 100000 };
	OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	FAILS(connect_to(fd, &address), EALREADY);
	fd = make_socket(0);
	OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	FAILS(connect_to(fd, &address), EINPROGRESS);
}

static void send_interrupted(void)
{
	static char bytes[1 << 20];
	struct pair pair = make_pair_with(16384, 16384);
	ssize_t sent;

	interrupt_after(100, SA_RESTART);
	sent = OK(send(pair.fd, bytes, sizeof(bytes), 0));
	BETWEEN(sent, 1000, sizeof(bytes) - 1);
	set_nonblocking(pair.fd, true);
	fill(pair.fd);
	set_nonblocking(pair.fd, false);
	interrupt_after(100, 0);
	FAILS(send(pair.fd, bytes, 1, 0), EINTR);
}

static void send_limited(void)
{
	static char bytes[1 << 20];
	struct timeval limit = { .tv_usec = 100000 };
	struct pair pair = make_pair_with(16384, 16384);
	long long begin;

	OK(setsockopt(pair.fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
		      sizeof(limit)));
	BETWEEN(send(pair.fd, bytes, sizeof(bytes), 0), 1000,
		sizeof(bytes) - 1);
	fill(pair.fd);
	begin = now_ms();
	FAILS(send(pair.fd, bytes, 1, 0), EAGAIN);
	BETWEEN(now_ms() - begin, 90, 1000);
	limit.tv_sec = 10;
	OK(setsockopt(pair.fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
		      sizeof(limit)));
	interrupt_after(50, SA_RESTART);
	FAILS(send(pair.fd, bytes, 1, 0), EINTR);
}

/* ---- Descriptors ---- */

static void close_all_copies(void)
{
	struct pair pair = make_pair();
	int copy = OK(dup(pair.fd));
	pid_t child;

	close(pair.fd);
	CHECK(!poll_for(pair.peer, POLLIN, 50));
	EQ(tcp_state(copy), STATE_ESTABLISHED);
	child = OK(fork());
	if (child == 0) {
		sleep_ms(200);
		_exit(0);
	}
	close(copy);
	CHECK(!poll_for(pair.peer, POLLIN, 50));
	CHECK(poll_for(pair.peer, POLLIN, 5000));
	expect_end(pair.peer);
	finish(child);
}

/* A descriptor on its way holds the connection. */
static void in_a_message(void)
{
	struct pair pair = make_pair();
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { "x", 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = room, .msg_controllen = sizeof(room),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int ends[2];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &pair.fd, sizeof(int));
	EQ(sendmsg(ends[0], &message, 0), 1);
	close(pair.fd);
	CHECK(!poll_for(pair.peer, POLLIN, 50));
	close(ends[0]);
	close(ends[1]);
	CHECK(poll_for(pair.peer, POLLIN, 5000));
	expect_end(pair.peer);
}

/* ---- SO_LINGER ---- */

static void linger(int fd, int seconds)
{
	struct linger linger = { .l_onoff = 1, .l_linger = seconds };

	OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

static struct pair lingering(int seconds)
{
	struct pair pair = make_pair();

	deafen(pair.peer);
	send_all(pair.fd, "x", 1);
	linger(pair.fd, seconds);
	return pair;
}

/* Nothing may stay that is sent again and again. */
static void let_go(int peer)
{
	hear_again(peer);
	linger_zero(peer);
	close(peer);
}

static void linger_to_the_end(void)
{
	struct pair pair = lingering(2);
	long long begin = now_ms();

	EQ(close(pair.fd), 0);
	BETWEEN(now_ms() - begin, 1900, 3000);
	let_go(pair.peer);

	/* A socket that does not wait lingers all the same. */
	pair = lingering(1);
	set_nonblocking(pair.fd, true);
	begin = now_ms();
	EQ(close(pair.fd), 0);
	BETWEEN(now_ms() - begin, 900, 2000);
	let_go(pair.peer);
}

static void linger_interrupted(void)
{
	struct pair pair = lingering(20);
	long long begin = now_ms();

	interrupt_after(100, 0);
	EQ(close(pair.fd), 0);
	BETWEEN(now_ms() - begin, 90, 5000);
	let_go(pair.peer);
}

/* A process that ends, or is ended, does not wait. */
static void linger_of_the_dead(void)
{
	struct pair pair = lingering(20);
	long long begin = now_ms();
	pid_t child = OK(fork());

	if (child == 0) {
		sleep_ms(100);
		_exit(0);
	}
	/* The last copy is the child's: this takes ours away without close. */
	OK(dup2(0, pair.fd));
	finish(child);
	BETWEEN(now_ms() - begin, 90, 3000);
	let_go(pair.peer);
}

static void linger_until_acknowledged(void)
{
	struct pair pair = lingering(20);
	long long begin = now_ms();

	later(hear_again, pair.peer);
	EQ(close(pair.fd), 0);
	BETWEEN(now_ms() - begin, 90, 5000);
	recv_all(pair.peer, &begin, 1);
	expect_end(pair.peer);
	close(pair.peer);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(reader_and_shutdown), CASE(writer_and_shutdown),
		CASE(writer_with_part),	CASE(acceptor_and_shutdown),
		CASE(caller_and_shutdown), CASE(disconnected_while_waiting),
		CASE(closed_while_waiting),
		CASE(listener_closed_while_waiting),
		CASE(reset_while_waiting), CASE(low_water_reader),
		CASE(connect_interrupted), CASE(connect_restarted),
		CASE(connect_limited),	CASE(send_interrupted),
		CASE(send_limited),	CASE(close_all_copies),
		CASE(in_a_message),	CASE(linger_to_the_end),
		CASE(linger_interrupted), CASE(linger_of_the_dead),
		CASE(linger_until_acknowledged),
	};

	return RUN_CASES(cases);
}
