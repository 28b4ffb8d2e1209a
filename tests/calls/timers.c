// SPDX-License-Identifier: GPL-2.0
/*
 * How long things last, between two stacks. In virtual time (User-Mode Linux
 * with time travel) waiting costs nothing.
 */
#define _GNU_SOURCE
#include "harness.h"

static void await_error(int fd, int expected)
{
	CHECK(poll_for(fd, 0, 4000 * 1000) & POLLERR);
	EQ(take_error(fd), expected);
	EQ(tcp_state(fd), STATE_CLOSE);
}

static void silent_host_blocking(void)
{
	union address address = silent_host();
	long long before = now_ms();

	FAILS(connect_to(make_socket(0), &address), ETIMEDOUT);
	BETWEEN(now_ms() - before, 127000, 140000);
}

static void silent_host_non_blocking(void)
{
	union address address = silent_host();
	int fd = make_socket(SOCK_NONBLOCK);
	long long before = now_ms();

	FAILS(connect_to(fd, &address), EINPROGRESS);
	await_error(fd, ETIMEDOUT);
	BETWEEN(now_ms() - before, 127000, 140000);
}

static void cut(struct link *link)
{
	change_link(link, "loss 100%");
}

/* Or the neighbour would be found to be gone much earlier. */
static void know_far(void)
{
	shell("ip neigh replace %s lladdr 02:00:00:00:00:02 dev near nud permanent",
	      host_text(far_address(0)));
}

static void vanished_peer(void)
{
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);
	long long before;
	char byte;

	cut(&link);
	know_far();
	before = now_ms();
	send_all(pair.fd, "hello", 5);
	FAILS(recv(pair.fd, &byte, 1, 0), ETIMEDOUT);
	BETWEEN(now_ms() - before, 880000, 1100000);
	/* The peer knows nothing of it. */
	EQ(tcp_state(pair.peer), STATE_ESTABLISHED);
}

static void idle_for_a_day(void)
{
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);

	sleep_ms(24 * 3600 * 1000);
	EQ(tcp_state(pair.fd), STATE_ESTABLISHED);
	send_pattern(pair.fd, 0, 10000);
	recv_pattern(pair.peer, 0, 10000);
}

static void repaired_after_minutes(void)
{
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);

	cut(&link);
	know_far();
	send_pattern(pair.fd, 0, 10000);
	sleep_ms(300 * 1000);
	EQ(tcp_state(pair.fd), STATE_ESTABLISHED);
	shell("ip neigh del %s dev near", host_text(far_address(0)));
	change_link(&link, "limit 1000");
	recv_pattern(pair.peer, 0, 10000);
}

static void zero_window_for_an_hour(void)
{
	struct pair pair = make_pair_with(50000, 10000);
	static char bytes[1 << 20];
	ssize_t sent = 0;
	ssize_t part;

	pattern_fill(bytes, 0, sizeof(bytes));
	set_nonblocking(pair.fd, true);
	while ((part = send(pair.fd, bytes + sent, sizeof(bytes) - sent, 0)) > 0)
		sent += part;
	CHECK(errno == EAGAIN);
	sleep_ms(3600 * 1000);
	EQ(tcp_state(pair.fd), STATE_ESTABLISHED);
	EQ(take_error(pair.fd), 0);
	recv_pattern(pair.peer, 0, sent);
}

static int bind_again(uint16_t port)
{
	union address address = loopback(port);
	int fd = make_socket(0);
	int result = bind_to(fd, &address);
	int error = errno;

	close(fd);
	errno = error;
	return result;
}

static void time_wait(void)
{
	struct pair pair = make_pair();
	uint16_t port = port_of(local_of(pair.fd));
	long long before;

	if (role_passive())
		skip("only for the end that chose its port");
	OK(shutdown(pair.fd, SHUT_WR));
	expect_end(pair.peer);
	close(pair.peer);
	expect_end(pair.fd);
	close(pair.fd);
	before = now_ms();
	while (bind_again(port) < 0) {
		CHECK(errno == EADDRINUSE);
		sleep_ms(1000);
	}
	BETWEEN(now_ms() - before, 58000, 72000);
}

/* Who closes second keeps nothing. */
static void no_time_wait(void)
{
	struct pair pair = make_pair();
	uint16_t port = port_of(local_of(pair.fd));

	if (role_passive())
		skip("only for the end that chose its port");
	OK(shutdown(pair.peer, SHUT_WR));
	expect_end(pair.fd);
	close(pair.fd);
	expect_end(pair.peer);
	sleep_ms(50);
	OK(bind_again(port));
}

static void orphan_in_fin_wait2(void)
{
	struct pair pair = make_pair();

	close(pair.fd);
	expect_end(pair.peer);
	sleep_ms(50 * 1000);
	EQ(tcp_state(pair.peer), STATE_CLOSE_WAIT);
	sleep_ms(25 * 1000);
	/* By now the other end has forgotten, and answers with RST. */
	send_all(pair.peer, "x", 1);
	await_error(pair.peer, EPIPE);
}

static void linger_limit(void)
{
	struct pair pair = make_pair_with(20000, 10000);
	struct linger linger = { .l_onoff = 1, .l_linger = 100 };
	long long before;

	OK(setsockopt(pair.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	fill(pair.fd);
	before = now_ms();
	OK(close(pair.fd));
	BETWEEN(now_ms() - before, 99000, 105000);
}

int main(void)
{
	static const struct test_case cases[] = {
		SLOW_CASE(silent_host_blocking, 1000),
		SLOW_CASE(silent_host_non_blocking, 1000),
		SLOW_CASE(vanished_peer, 5000),
		SLOW_CASE(idle_for_a_day, 100000),
		SLOW_CASE(repaired_after_minutes, 5000),
		SLOW_CASE(zero_window_for_an_hour, 10000),
		SLOW_CASE(time_wait, 1000),
		SLOW_CASE(no_time_wait, 1000),
		SLOW_CASE(orphan_in_fin_wait2, 1000),
		SLOW_CASE(linger_limit, 1000),
	};

	return RUN_CASES(cases);
}
