// SPDX-License-Identifier: GPL-2.0
/* Writers: when they may write, when they are woken, how much they queue. */
#define _GNU_SOURCE
#include "harness.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#ifndef TCP_NOTSENT_LOWAT
#define TCP_NOTSENT_LOWAT 25
#endif

static int unsent(int fd)
{
	int bytes;

	OK(ioctl(fd, SIOCOUTQNSD, &bytes));
	return bytes;
}

static void drain(int fd, size_t length)
{
	static char bytes[65536];

	while (length) {
		size_t part = length < sizeof(bytes) ? length : sizeof(bytes);

		recv_all(fd, bytes, part);
		length -= part;
	}
}

static void low_water_option(void)
{
	union address address;
	int fd = make_socket(0);
	int client, child;

	EQ(get_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 0);
	set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 12345);
	EQ(get_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 12345);
	set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, -1);
	EQ(get_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), -1);
	set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0);
	EQ(get_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 0);

	fd = listener(1, &address);
	set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 4321);
	client = make_socket_of(peer_family(), 0);
	OK(connect_to(client, &address));
	child = accept_one(fd);
	EQ(get_option(child, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 4321);
}

/*
 * With a peer that reads nothing: the socket takes no more than a packet's worth beyond the mark, and is writable
 * again only when less than half of the mark is unsent.
 */
static void low_water_bounds_what_is_unsent(void)
{
	struct pair pair = make_pair_with(1 << 20, 20000);
	size_t sent;
	int before;

	set_option(pair.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 20000);
	sent = fill(pair.fd);
	before = unsent(pair.fd);
	BETWEEN(before, 20000, 20000 + 70000);
	EQ_BITS(events_now(pair.fd), 0);
	/* Without the mark there is room. */
	set_option(pair.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0);
	EQ_BITS(events_now(pair.fd), POLLOUT | POLLWRNORM);
	set_option(pair.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 20000);
	EQ_BITS(events_now(pair.fd), 0);
	while (unsent(pair.fd) >= 10000) {
		EQ_BITS(events_now(pair.fd), 0);
		drain(pair.peer, 1000);
		sent -= 1000;
		sleep_ms(1);
	}
	EQ_BITS(poll_for(pair.fd, POLLOUT, 1000), POLLOUT);
	drain(pair.peer, sent);
}

static void low_water_of_the_namespace(void)
{
	struct pair pair;

	own_netns();
	write_setting("ipv4/tcp_notsent_lowat", "5000");
	pair = make_pair_with(1 << 20, 20000);
	fill(pair.fd);
	BETWEEN(unsent(pair.fd), 5000, 5000 + 70000);
	EQ_BITS(events_now(pair.fd), 0);
	write_setting("ipv4/tcp_notsent_lowat", "4294967295");
	EQ_BITS(events_now(pair.fd), POLLOUT | POLLWRNORM);
	/* The socket's own mark goes before. */
	write_setting("ipv4/tcp_notsent_lowat", "5000");
	set_option(pair.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, -1);
	EQ_BITS(events_now(pair.fd), POLLOUT | POLLWRNORM);
}

struct reader {
	int fd;
	size_t length;
};

static void read_slowly(void *argument)
{
	struct reader *reader = argument;
	size_t left = reader->length;
	size_t step = 1;

	while (left) {
		size_t part = step < left ? step : left;

		drain(reader->fd, part);
		left -= part;
		step = step * 5 % 30011 + 1;
		if (step % 16 == 0)
			sleep_ms(1);
	}
}

/* A writer that only hears of edges, and writes until it must wait. */
static void edge_triggered(int mark, int buffer, size_t length)
{
	struct pair pair = buffer ? make_pair_with(buffer, 20000) : make_pair();
	struct reader reader = { pair.peer, length };
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	static const char bytes[30000];
	int epoll = OK(epoll_create1(0));
	size_t left = length;
	pid_t child;

	if (mark)
		set_option(pair.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, mark);
	set_nonblocking(pair.fd, true);
	OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pair.fd, &event));
	child = start(read_slowly, &reader);
	while (left) {
		size_t part = left < sizeof(bytes) ? left : sizeof(bytes);
		ssize_t sent = send(pair.fd, bytes, part, 0);

		if (sent > 0) {
			left -= sent;
			continue;
		}
		CHECK(sent < 0 && errno == EAGAIN);
		EQ(epoll_wait(epoll, &event, 1, 5000), 1);
		EQ_BITS(event.events, EPOLLOUT);
	}
	finish(child);
}

static void edge_plain(void)
{
	edge_triggered(0, 0, fewer(8 << 20));
}

static void edge_small_buffer(void)
{
	edge_triggered(0, 10000, fewer(2 << 20));
}

static void edge_least_mark(void)
{
	edge_triggered(1, 0, fewer(2 << 20));
}

static void edge_mark(void)
{
	edge_triggered(16384, 1 << 20, fewer(8 << 20));
}

static void write_all(void *argument)
{
	struct reader *writer = argument;
	static const char bytes[100000];
	size_t left = writer->length;

	while (left) {
		size_t part = left < sizeof(bytes) ? left : sizeof(bytes);

		left -= OK(send(writer->fd, bytes, part, 0));
	}
}

/* A write that waits goes on when the mark lets it. */
static void blocking_with_mark(void)
{
	struct pair pair = make_pair_with(1 << 20, 20000);
	struct reader writer = { pair.fd, 1 << 20 };
	size_t left = writer.length;
	pid_t child;

	set_option(pair.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 10000);
	child = start(write_all, &writer);
	while (left) {
		size_t part = left < 50000 ? left : 50000;

		drain(pair.peer, part);
		left -= part;
		BETWEEN(unsent(pair.fd), 0, 10000 + 70000);
	}
	finish(child);
}

/* The buffer begins as large as the first window needs, and follows the congestion window. */
static void buffer_grows(void)
{
	struct pair pair = make_pair();
	int before = get_option(pair.fd, SOL_SOCKET, SO_SNDBUF);
	struct reader writer = { pair.fd, fewer(16 << 20) };
	pid_t child;
	int after;

	child = start(write_all, &writer);
	drain(pair.peer, writer.length);
	finish(child);
	after = get_option(pair.fd, SOL_SOCKET, SO_SNDBUF);
	CHECK(before > 16384);
	BETWEEN(after, before, 4 << 20);

	/* Unless the user fixed it. */
	pair = make_pair_with(50000, 0);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_SNDBUF), 100000);
	writer.fd = pair.fd;
	child = start(write_all, &writer);
	drain(pair.peer, writer.length);
	finish(child);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_SNDBUF), 100000);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(low_water_option),
		CASE(low_water_bounds_what_is_unsent),
		CASE(low_water_of_the_namespace),
		SLOW_CASE(edge_plain, 60),
		SLOW_CASE(edge_small_buffer, 60),
		SLOW_CASE(edge_least_mark, 60),
		SLOW_CASE(edge_mark, 60),
		SLOW_CASE(blocking_with_mark, 30),
		SLOW_CASE(buffer_grows, 60),
	};

	return RUN_CASES(cases);
}
