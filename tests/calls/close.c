// SPDX-License-Identifier: GPL-2.0
/* shutdown, close, resets, and processes that end without either. */
#define _GNU_SOURCE
#include "harness.h"

#include <signal.h>
#include <sys/wait.h>

static void half_close(void)
{
	struct pair pair = make_pair();

	send_pattern(pair.fd, 0, 100000);
	OK(shutdown(pair.fd, SHUT_WR));
	recv_pattern(pair.peer, 0, 100000);
	expect_end(pair.peer);
	EQ(tcp_state(pair.peer), STATE_CLOSE_WAIT);
	await_state(pair.fd, STATE_FIN_WAIT2);
	/* The other direction lives on. */
	send_pattern(pair.peer, 0, 100000);
	recv_pattern(pair.fd, 0, 100000);
	OK(shutdown(pair.peer, SHUT_WR));
	expect_end(pair.fd);
	await_state(pair.peer, STATE_CLOSE);
}

static void half_close_from_peer(void)
{
	struct pair pair = make_pair();

	send_pattern(pair.peer, 0, 100000);
	OK(shutdown(pair.peer, SHUT_WR));
	recv_pattern(pair.fd, 0, 100000);
	expect_end(pair.fd);
	EQ(tcp_state(pair.fd), STATE_CLOSE_WAIT);
	send_pattern(pair.fd, 0, 100000);
	recv_pattern(pair.peer, 0, 100000);
	close(pair.fd);
	expect_end(pair.peer);
}

static void close_sends_all(void)
{
	struct pair pair = make_pair();

	set_nonblocking(pair.fd, true);
	for (int i = 0; i < 10; i++)
		send_pattern(pair.fd, i * 10000, 10000);
	close(pair.fd);
	recv_pattern(pair.peer, 0, 100000);
	expect_end(pair.peer);
}

static void read_shut(void)
{
	struct pair pair = make_pair();
	char bytes[10];

	send_all(pair.peer, "abc", 3);
	CHECK(poll_for(pair.fd, POLLIN, 1000));
	OK(shutdown(pair.fd, SHUT_RD));
	/* What came is still there, then the end. */
	EQ(recv(pair.fd, bytes, sizeof(bytes), 0), 3);
	EQ(recv(pair.fd, bytes, sizeof(bytes), 0), 0);
	/* The peer learns nothing, and what it sends arrives. */
	send_all(pair.peer, "def", 3);
	sleep_ms(50);
	EQ(recv(pair.fd, bytes, sizeof(bytes), 0), 3);
	EQ(tcp_state(pair.peer), STATE_ESTABLISHED);
	send_all(pair.fd, "x", 1);
	recv_all(pair.peer, bytes, 1);
}

static void shutdown_errors(void)
{
	struct pair pair = make_pair();
	int fd = make_socket(0);

	FAILS(shutdown(pair.fd, 3), EINVAL);
	FAILS(shutdown(pair.fd, -1), EINVAL);
	FAILS(shutdown(fd, SHUT_RDWR), ENOTCONN);
	FAILS(shutdown(bound(family(), 0), SHUT_WR), ENOTCONN);
}

static void shutdown_repeated(void)
{
	struct pair pair = make_pair();

	OK(shutdown(pair.fd, SHUT_WR));
	OK(shutdown(pair.fd, SHUT_WR));
	OK(shutdown(pair.fd, SHUT_RD));
	OK(shutdown(pair.fd, SHUT_RDWR));
	expect_end(pair.peer);
	close(pair.peer);
	await_state(pair.fd, STATE_CLOSE);
	FAILS(shutdown(pair.fd, SHUT_WR), ENOTCONN);
}

static void read_end(void *argument)
{
	expect_end(*(int *)argument);
}

static void shutdown_ends_recv(void)
{
	struct pair pair = make_pair();
	pid_t child = start(read_end, &pair.fd);

	sleep_ms(100);
	OK(shutdown(pair.fd, SHUT_RD));
	finish(child);
}

static void simultaneous(void)
{
	struct pair pair = make_pair();

	for (int i = fewer(50); i; i--) {
		OK(shutdown(pair.fd, SHUT_WR));
		OK(shutdown(pair.peer, SHUT_WR));
		expect_end(pair.fd);
		expect_end(pair.peer);
		close(pair.fd);
		close(pair.peer);
		pair = make_pair();
	}
}

static void unread_data_resets(void)
{
	struct pair pair = make_pair();
	char byte;

	send_all(pair.peer, "unread", 6);
	CHECK(poll_for(pair.fd, POLLIN, 1000));
	close(pair.fd);
	CHECK(poll_for(pair.peer, 0, 1000) & POLLERR);
	FAILS(recv(pair.peer, &byte, 1, 0), ECONNRESET);
	EQ(recv(pair.peer, &byte, 1, 0), 0);
	FAILS(send(pair.peer, "x", 1, MSG_NOSIGNAL), EPIPE);
}

static void unread_data_resets_us(void)
{
	struct pair pair = make_pair();
	char byte;

	send_all(pair.fd, "unread", 6);
	CHECK(poll_for(pair.peer, POLLIN, 1000));
	close(pair.peer);
	CHECK(poll_for(pair.fd, 0, 1000) & POLLERR);
	FAILS(recv(pair.fd, &byte, 1, 0), ECONNRESET);
	EQ(recv(pair.fd, &byte, 1, 0), 0);
}

/* Data for a socket that was closed is answered by RST. */
static void data_after_close(void)
{
	struct pair pair = make_pair();

	close(pair.fd);
	expect_end(pair.peer);
	send_all(pair.peer, "late", 4);
	await_state(pair.peer, STATE_CLOSE);
	FAILS(send(pair.peer, "x", 1, MSG_NOSIGNAL), EPIPE);
}

static void linger_resets(void)
{
	struct pair pair = make_pair();
	char byte;

	linger_zero(pair.fd);
	close(pair.fd);
	CHECK(poll_for(pair.peer, 0, 1000) & POLLERR);
	EQ(take_error(pair.peer), ECONNRESET);
	EQ(recv(pair.peer, &byte, 1, 0), 0);
}

static void was_reset(void)
{
	struct pair pair = make_pair();
	union address name;
	socklen_t length = sizeof(name);
	char byte;

	linger_zero(pair.peer);
	close(pair.peer);
	CHECK(poll_for(pair.fd, 0, 1000) & POLLERR);
	EQ(tcp_state(pair.fd), STATE_CLOSE);
	/* The error is told once; a send tells it without a signal. */
	FAILS(send(pair.fd, "x", 1, 0), ECONNRESET);
	FAILS(send(pair.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	EQ(recv(pair.fd, &byte, 1, 0), 0);
	FAILS(getpeername(pair.fd, &name.any, &length),
	      ENOTCONN);
	CHECK(port_of(local_of(pair.fd)) != 0);
	FAILS(shutdown(pair.fd, SHUT_RDWR), ENOTCONN);
}

/* What arrived before the RST can still be read. */
static void reset_after_data(void)
{
	struct pair pair = make_pair();
	char bytes[10];

	send_all(pair.peer, "abc", 3);
	CHECK(poll_for(pair.fd, POLLIN, 1000));
	linger_zero(pair.peer);
	close(pair.peer);
	CHECK(poll_for(pair.fd, 0, 1000) & POLLERR);
	EQ(recv(pair.fd, bytes, sizeof(bytes), 0), 3);
	FAILS(recv(pair.fd, bytes, sizeof(bytes), 0), ECONNRESET);
	EQ(recv(pair.fd, bytes, sizeof(bytes), 0), 0);
}

static void reset_in_close_wait(void)
{
	struct pair pair = make_pair();

	OK(shutdown(pair.peer, SHUT_WR));
	await_state(pair.fd, STATE_CLOSE_WAIT);
	linger_zero(pair.peer);
	close(pair.peer);
	CHECK(poll_for(pair.fd, 0, 1000) & POLLERR);
	EQ(take_error(pair.fd), EPIPE);
}

static void reset_wakes(void *argument)
{
	char byte;

	FAILS(recv(*(int *)argument, &byte, 1, 0), ECONNRESET);
}

static void reset_ends_recv(void)
{
	struct pair pair = make_pair();
	pid_t child = start(reset_wakes, &pair.fd);
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	sleep_ms(100);
	OK(connect(pair.peer, &none, sizeof(none)));
	finish(child);
}

static void send_until_reset(void *argument)
{
	static char bytes[1 << 22];
	int fd = *(int *)argument;
	ssize_t sent = OK(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL));

	/* The part that was taken is told first, the reason after it. */
	CHECK(sent > 0 && (size_t)sent < sizeof(bytes));
	FAILS(send(fd, bytes, 1, MSG_NOSIGNAL), ECONNRESET);
}

static void reset_ends_send(void)
{
	struct pair pair = make_pair_with(20000, 20000);
	pid_t child = start(send_until_reset, &pair.fd);
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	sleep_ms(300);
	OK(connect(pair.peer, &none, sizeof(none)));
	finish(child);
}

/* close waits until the peer has acknowledged all, or the time is over. */
static void linger_waits(void)
{
	struct pair pair = make_pair_with(20000, 20000);
	struct linger linger = { .l_onoff = 1, .l_linger = 1 };
	long long before;

	OK(setsockopt(pair.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	fill(pair.fd);
	before = now_ms();
	OK(close(pair.fd));
	BETWEEN(now_ms() - before, 900, 4000);
}

static void linger_is_short(void)
{
	struct pair pair = make_pair();
	struct linger linger = { .l_onoff = 1, .l_linger = 20 };
	long long before = now_ms();

	OK(setsockopt(pair.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	send_all(pair.fd, "x", 1);
	OK(close(pair.fd));
	BETWEEN(now_ms() - before, 0, 5000);
}

static void states_of_active_close(void)
{
	struct pair pair = make_pair();

	OK(shutdown(pair.fd, SHUT_WR));
	await_state(pair.fd, STATE_FIN_WAIT2);
	await_state(pair.peer, STATE_CLOSE_WAIT);
	OK(shutdown(pair.peer, SHUT_WR));
	/* The socket itself is closed; a record stays in TIME_WAIT. */
	await_state(pair.fd, STATE_CLOSE);
	await_state(pair.peer, STATE_CLOSE);
	EQ(take_error(pair.fd), 0);
}

static void listener_shut(void)
{
	union address address;
	int fd = listener(1, &address);
	int client = make_socket_of(peer_family(), 0);

	OK(shutdown(fd, SHUT_WR));
	EQ(tcp_state(fd), STATE_LISTEN);
	OK(shutdown(fd, SHUT_RD));
	EQ(tcp_state(fd), STATE_CLOSE);
	FAILS(connect_to(client, &address), ECONNREFUSED);
	FAILS(accept(fd, NULL, NULL), EINVAL);
	/* It may listen again; the port was not given, so it may change. */
	OK(listen(fd, 1));
	set_port(&address, port_of(local_of(fd)));
	OK(connect_to(client, &address));
	accept_one(fd);
}

static void listener_closed(void)
{
	union address address;
	int fd = listener(1, &address);

	close(fd);
	FAILS(connect_to(make_socket_of(peer_family(), 0), &address),
	      ECONNREFUSED);
}

struct ends {
	int server;
	union address address;
};

static void connect_and_wait(void *argument)
{
	struct ends *ends = argument;
	int fd = make_socket(0);

	OK(connect_to(fd, &ends->address));
	send_all(fd, "here", 4);
	sleep_ms(20000);
}

static void killed(void)
{
	struct ends ends;
	char bytes[10];
	pid_t child;
	int status;
	int fd;

	ends.server = listener_of(peer_family(), 1, &ends.address);
	child = start(connect_and_wait, &ends);
	fd = accept_one(ends.server);
	recv_all(fd, bytes, 4);
	OK(kill(child, SIGKILL));
	EQ(waitpid(child, &status, 0), child);
	CHECK(poll_for(fd, POLLIN, 2000));
	expect_end(fd);
}

static void killed_with_unread(void)
{
	struct ends ends;
	char bytes[10];
	pid_t child;
	int fd;

	ends.server = listener_of(peer_family(), 1, &ends.address);
	child = start(connect_and_wait, &ends);
	fd = accept_one(ends.server);
	recv_all(fd, bytes, 4);
	send_all(fd, "unread", 6);
	sleep_ms(50);
	OK(kill(child, SIGKILL));
	CHECK(poll_for(fd, 0, 2000) & POLLERR);
	FAILS(recv(fd, bytes, 1, 0), ECONNRESET);
}

static void accept_and_hang(void *argument)
{
	struct ends *ends = argument;

	accept_one(ends->server);
	accept_one(ends->server);
}

static void killed_listener(void)
{
	struct ends ends;
	int first, second;
	pid_t child;
	char byte;

	ends.server = listener(2, &ends.address);
	first = make_socket_of(peer_family(), 0);
	OK(connect_to(first, &ends.address));
	child = start(accept_and_hang, &ends);
	close(ends.server);
	sleep_ms(200);
	OK(kill(child, SIGKILL));
	EQ(recv(first, &byte, 1, 0), 0);
	sleep_ms(50);
	second = make_socket_of(peer_family(), 0);
	FAILS(connect_to(second, &ends.address), ECONNREFUSED);
}

static void blocked_in_send(void *argument)
{
	static char bytes[1 << 22];

	send(*(int *)argument, bytes, sizeof(bytes), 0);
	sleep_ms(20000);
}

/* What the dead process had given to the kernel still arrives. */
static void killed_while_sending(void)
{
	struct pair pair = make_pair_with(20000, 20000);
	pid_t child = start(blocked_in_send, &pair.fd);
	static char bytes[65536];
	ssize_t got;

	close(pair.fd);
	sleep_ms(200);
	OK(kill(child, SIGKILL));
	do {
		got = OK(recv(pair.peer, bytes, sizeof(bytes), 0));
	} while (got > 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(half_close),	CASE(half_close_from_peer),
		CASE(close_sends_all),	CASE(read_shut),
		CASE(shutdown_errors),	CASE(shutdown_repeated),
		CASE(shutdown_ends_recv), CASE(simultaneous),
		CASE(unread_data_resets), CASE(unread_data_resets_us),
		CASE(data_after_close),	CASE(linger_resets),
		CASE(was_reset),	CASE(reset_after_data),
		CASE(reset_in_close_wait), CASE(reset_ends_recv),
		CASE(reset_ends_send),	CASE(linger_waits),
		CASE(linger_is_short),	CASE(states_of_active_close),
		CASE(listener_shut),	CASE(listener_closed),
		CASE(killed),		CASE(killed_with_unread),
		CASE(killed_listener),	CASE(killed_while_sending),
	};

	return RUN_CASES(cases);
}
