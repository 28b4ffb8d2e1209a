// SPDX-License-Identifier: GPL-2.0
/* Flow control: slow readers, tiny buffers, both directions at once. */
#define _GNU_SOURCE
#include "harness.h"

#include <linux/tcp.h>

#define MEGABYTE	(1 << 20)

static void slow_reader(void)
{
	struct pair pair = make_pair_with(0, 10000);
	static char bytes[16 * MEGABYTE];
	ssize_t sent = 0;
	ssize_t part;

	pattern_fill(bytes, 0, sizeof(bytes));
	set_nonblocking(pair.fd, true);
	while ((part = send(pair.fd, bytes + sent, 65536, 0)) > 0)
		sent += part;
	CHECK(errno == EAGAIN);
	/* The window is shut now, and stays so for a while. */
	sleep_ms(1500);
	EQ(tcp_state(pair.fd), STATE_ESTABLISHED);
	recv_pattern(pair.peer, 0, sent);
	CHECK(poll_for(pair.fd, POLLOUT, 3000) & POLLOUT);
	send_pattern(pair.fd, sent, 1000);
	recv_pattern(pair.peer, sent, 1000);
}

/* Room opens bit by bit, by a few bytes at a time. */
static void silly_reader(void)
{
	struct pair pair = make_pair_with(200000, 5000);
	static char bytes[65536];
	uint64_t place = 0;

	pattern_fill(bytes, 0, sizeof(bytes));
	EQ(send(pair.fd, bytes, sizeof(bytes), MSG_DONTWAIT), sizeof(bytes));
	while (place < sizeof(bytes)) {
		recv_pattern(pair.peer, place, 64);
		place += 64;
	}
}

static void close_at_zero_window(void)
{
	struct pair pair = make_pair_with(200000, 5000);
	static char bytes[65536];

	pattern_fill(bytes, 0, sizeof(bytes));
	EQ(send(pair.fd, bytes, sizeof(bytes), MSG_DONTWAIT), sizeof(bytes));
	close(pair.fd);
	sleep_ms(500);
	recv_pattern(pair.peer, 0, sizeof(bytes));
	expect_end(pair.peer);
}

/* Sends and receives so much of the pattern on one descriptor, at once. */
static void both_ways(int fd, uint64_t length)
{
	uint64_t sent = 0;
	uint64_t received = 0;
	char bytes[8192];

	set_nonblocking(fd, true);
	while (sent < length || received < length) {
		short events = poll_for(fd, (sent < length ? POLLOUT : 0) |
					(received < length ? POLLIN : 0), 10000);

		if (!events)
			FAIL("stuck at %llu sent, %llu received",
			     (unsigned long long)sent,
			     (unsigned long long)received);
		CHECK(!(events & (POLLERR | POLLHUP)));
		if (events & POLLIN) {
			ssize_t got = OK(recv(fd, bytes, sizeof(bytes), 0));

			CHECK(got > 0);
			pattern_check(bytes, received, got);
			received += got;
		}
		if (events & POLLOUT) {
			size_t part = length - sent < sizeof(bytes) ?
				      length - sent : sizeof(bytes);
			ssize_t taken;

			pattern_fill(bytes, sent, part);
			taken = send(fd, bytes, part, 0);
			if (taken < 0)
				CHECK(errno == EAGAIN);
			else
				sent += taken;
		}
	}
	EQ(received, length);
}

struct exchange {
	struct pair pair;
	uint64_t length;
};

static void peer_both_ways(void *argument)
{
	struct exchange *exchange = argument;

	close(exchange->pair.fd);
	both_ways(exchange->pair.peer, exchange->length);
	OK(shutdown(exchange->pair.peer, SHUT_WR));
	set_nonblocking(exchange->pair.peer, false);
	expect_end(exchange->pair.peer);
}

static void exchange_with(int sndbuf, int rcvbuf, uint64_t length)
{
	struct exchange exchange = {
		.pair = make_pair_with(sndbuf, rcvbuf),
		.length = length,
	};
	pid_t child = start(peer_both_ways, &exchange);

	close(exchange.pair.peer);
	both_ways(exchange.pair.fd, length);
	OK(shutdown(exchange.pair.fd, SHUT_WR));
	set_nonblocking(exchange.pair.fd, false);
	expect_end(exchange.pair.fd);
	finish(child);
}

static void tiny_buffers(void)
{
	exchange_with(4096, 4096, 16 * MEGABYTE);
}

static void default_buffers(void)
{
	exchange_with(0, 0, 16 * MEGABYTE);
}

static void odd_buffers(void)
{
	exchange_with(1, 9999, MEGABYTE);
	exchange_with(77777, 3333, MEGABYTE);
}

static void one_byte_at_a_time(void *argument)
{
	int fd = *(int *)argument;

	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	for (int i = 0; i < 5000; i++)
		send_pattern(fd, i, 1);
}

static void many_small_segments(void)
{
	struct pair pair = make_pair();
	pid_t child = start(one_byte_at_a_time, &pair.fd);

	recv_pattern(pair.peer, 0, 5000);
	finish(child);
}

/* Small segments nobody reads cost memory; they must still all arrive. */
static void small_segments_unread(void)
{
	struct pair pair = make_pair_with(0, 8192);
	pid_t child = start(one_byte_at_a_time, &pair.fd);

	sleep_ms(1500);
	recv_pattern(pair.peer, 0, 5000);
	finish(child);
}

static void ping_pong(void)
{
	struct pair pair = make_pair();
	long long before = now_ms();
	int rounds = fewer(300);

	for (int i = 0; i < rounds; i++) {
		send_pattern(pair.fd, i, 1);
		recv_pattern(pair.peer, i, 1);
		send_pattern(pair.peer, i, 1);
		recv_pattern(pair.fd, i, 1);
	}
	/* Neither Nagle's rule nor a delayed ACK stands in the way. */
	BETWEEN(now_ms() - before, 0, rounds * 30 * slowness());
}

static void grown_later(void)
{
	struct pair pair = make_pair_with(5000, 5000);
	size_t before = fill(pair.fd);

	set_option(pair.fd, SOL_SOCKET, SO_SNDBUF, 100000);
	CHECK(fill(pair.fd) + before > before + 10000);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(slow_reader),	CASE(silly_reader),
		CASE(close_at_zero_window),
		SLOW_CASE(tiny_buffers, 120),
		SLOW_CASE(default_buffers, 120),
		CASE(odd_buffers),	CASE(many_small_segments),
		CASE(small_segments_unread),
		CASE(ping_pong),	CASE(grown_later),
	};

	return RUN_CASES(cases);
}
