// SPDX-License-Identifier: GPL-2.0
/* What a program can say of the receiver: ACKs, the window, the receive buffer. */
#define _GNU_SOURCE
#include "harness.h"

#include <linux/tcp.h>
#include <string.h>
#include <sys/epoll.h>

#ifndef TCP_DELACK_MAX_US
#define TCP_DELACK_MAX_US	46
#endif

#define MEGABYTE	(1 << 20)
#define CLAMP_MIN	1152	/* SOCK_MIN_RCVBUF / 2, on 64 bits */

static int tcp_option(int fd, int name)
{
	return get_option(fd, IPPROTO_TCP, name);
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	return info;
}

/* What is set on a listener holds for what it accepts. */
static int child_of(int server)
{
	union address address = local_of(server);
	int client = make_socket_of(peer_family(), 0);

	OK(connect_to(client, &address));
	return accept_one(server);
}

static void bad_length(int name)
{
	int fd = make_socket(0);
	char value[4] = { 1, 0, 0, 0 };

	FAILS(setsockopt(fd, IPPROTO_TCP, name, value, 3), EINVAL);
	FAILS(setsockopt(fd, IPPROTO_TCP, name, value, 0), EINVAL);
	FAILS(setsockopt(fd, IPPROTO_TCP, name, NULL, 4), EFAULT);
	FAILS(getsockopt(fd, IPPROTO_TCP, name, value, NULL), EFAULT);
}

static void quick_ack(void)
{
	struct pair pair = make_pair();
	union address address;
	int server;
	int fd = make_socket(0);

	EQ(tcp_option(fd, TCP_QUICKACK), 1);
	set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
	EQ(tcp_option(fd, TCP_QUICKACK), 0);
	set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 7);
	EQ(tcp_option(fd, TCP_QUICKACK), 1);

	set_option(pair.fd, IPPROTO_TCP, TCP_QUICKACK, 0);
	EQ(tcp_option(pair.fd, TCP_QUICKACK), 0);
	set_option(pair.fd, IPPROTO_TCP, TCP_QUICKACK, -1);
	EQ(tcp_option(pair.fd, TCP_QUICKACK), 1);

	server = listener(1, &address);
	set_option(server, IPPROTO_TCP, TCP_QUICKACK, 0);
	EQ(tcp_option(child_of(server), TCP_QUICKACK), 0);
	bad_length(TCP_QUICKACK);
}

static void window_clamp(void)
{
	struct pair pair = make_pair();
	union address address;
	int server;
	int zero = 0;
	int fd = make_socket(0);

	EQ(tcp_option(fd, TCP_WINDOW_CLAMP), 0);
	set_option(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, 1);
	EQ(tcp_option(fd, TCP_WINDOW_CLAMP), CLAMP_MIN);
	set_option(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, 20000);
	EQ(tcp_option(fd, TCP_WINDOW_CLAMP), 20000);
	set_option(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, 0);
	EQ(tcp_option(fd, TCP_WINDOW_CLAMP), 0);

	CHECK(tcp_option(pair.fd, TCP_WINDOW_CLAMP) > 20000);
	FAILS(setsockopt(pair.fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &zero,
			 sizeof(zero)), EINVAL);
	set_option(pair.fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, 9000);
	EQ(tcp_option(pair.fd, TCP_WINDOW_CLAMP), 9000);
	CHECK(info_of(pair.fd).tcpi_rcv_ssthresh <= 9000);

	server = listener(1, &address);
	FAILS(setsockopt(server, IPPROTO_TCP, TCP_WINDOW_CLAMP, &zero,
			 sizeof(zero)), EINVAL);
	set_option(server, IPPROTO_TCP, TCP_WINDOW_CLAMP, 5000);
	fd = child_of(server);
	EQ(tcp_option(fd, TCP_WINDOW_CLAMP), 5000);
	CHECK(info_of(fd).tcpi_rcv_ssthresh <= 5000);
	bad_length(TCP_WINDOW_CLAMP);
}

static void longest_delay(void)
{
	union address address;
	int server = listener(1, &address);
	int too_long = 200001 + 20000;
	int zero = 0;
	int negative = -1;
	int fd = make_socket(0);

	EQ(tcp_option(fd, TCP_DELACK_MAX_US), 200000);
	set_option(fd, IPPROTO_TCP, TCP_DELACK_MAX_US, 40000);
	EQ(tcp_option(fd, TCP_DELACK_MAX_US), 40000);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_DELACK_MAX_US, &too_long,
			 sizeof(int)), EINVAL);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_DELACK_MAX_US, &zero,
			 sizeof(int)), EINVAL);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_DELACK_MAX_US, &negative,
			 sizeof(int)), EINVAL);
	EQ(tcp_option(fd, TCP_DELACK_MAX_US), 40000);

	set_option(server, IPPROTO_TCP, TCP_DELACK_MAX_US, 80000);
	EQ(tcp_option(child_of(server), TCP_DELACK_MAX_US), 80000);
	bad_length(TCP_DELACK_MAX_US);
}

/* The peer sends so much to the socket under test, which reads it all. */
static void bulk(struct pair pair, size_t length)
{
	if (OK(fork()) == 0) {
		send_pattern(pair.peer, 0, length);
		_exit(0);
	}
	recv_pattern(pair.fd, 0, length);
}

static void buffer_grows(void)
{
	struct pair pair = make_pair();
	struct tcp_info before = info_of(pair.fd);
	int space = get_option(pair.fd, SOL_SOCKET, SO_RCVBUF);

	bulk(pair, fewer(32 * MEGABYTE));
	CHECK(info_of(pair.fd).tcpi_rcv_ssthresh > before.tcpi_rcv_ssthresh);
	CHECK(info_of(pair.fd).tcpi_rcv_space > before.tcpi_rcv_space);
	CHECK(get_option(pair.fd, SOL_SOCKET, SO_RCVBUF) > space);
}

static void chosen_buffer_stays(void)
{
	struct pair pair = make_pair_with(0, 30000);

	bulk(pair, fewer(8 * MEGABYTE));
	EQ(get_option(pair.fd, SOL_SOCKET, SO_RCVBUF), 60000);
	CHECK(info_of(pair.fd).tcpi_rcv_ssthresh <= 60000);
}

static int low_water(int fd)
{
	return get_option(fd, SOL_SOCKET, SO_RCVLOWAT);
}

/* The buffer grows for what the reader waits for; a chosen one bounds it. */
static void low_water_and_buffer(void)
{
	struct pair pair = make_pair();
	int fd = make_socket(0);

	EQ(low_water(fd), 1);
	set_option(fd, SOL_SOCKET, SO_RCVLOWAT, 0);
	EQ(low_water(fd), 1);
	set_option(fd, SOL_SOCKET, SO_RCVLOWAT, 300000);
	EQ(low_water(fd), 300000);
	EQ(get_option(fd, SOL_SOCKET, SO_RCVBUF), 600000);
	set_option(fd, SOL_SOCKET, SO_RCVLOWAT, 10);
	EQ(get_option(fd, SOL_SOCKET, SO_RCVBUF), 600000);
	set_option(fd, SOL_SOCKET, SO_RCVLOWAT, -1);
	CHECK(low_water(fd) > 300000 && low_water(fd) < 64 * MEGABYTE);

	fd = make_socket(0);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, 10000);
	set_option(fd, SOL_SOCKET, SO_RCVLOWAT, 300000);
	EQ(low_water(fd), 10000);
	EQ(get_option(fd, SOL_SOCKET, SO_RCVBUF), 20000);

	set_option(pair.fd, SOL_SOCKET, SO_RCVLOWAT, 500000);
	EQ(low_water(pair.fd), 500000);
	CHECK(get_option(pair.fd, SOL_SOCKET, SO_RCVBUF) >= 500000);
	CHECK(tcp_option(pair.fd, TCP_WINDOW_CLAMP) >= 500000);
	if (OK(fork()) == 0) {
		send_pattern(pair.peer, 0, 500000);
		_exit(0);
	}
	EQ_BITS(poll_for(pair.fd, POLLIN, 10000), POLLIN);
	recv_pattern(pair.fd, 0, 500000);
}

/* What is enough after a change wakes who waits for an edge. */
static void low_water_wakes(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct pair pair = make_pair();
	int poller = OK(epoll_create1(0));

	set_option(pair.fd, SOL_SOCKET, SO_RCVLOWAT, 10);
	OK(epoll_ctl(poller, EPOLL_CTL_ADD, pair.fd, &event));
	send_all(pair.peer, "12345", 5);
	EQ(epoll_wait(poller, &event, 1, 200), 0);
	set_option(pair.fd, SOL_SOCKET, SO_RCVLOWAT, 5);
	EQ(epoll_wait(poller, &event, 1, 1000), 1);
	EQ_BITS(event.events, EPOLLIN);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(quick_ack),	CASE(window_clamp),
		CASE(longest_delay),	CASE(buffer_grows),
		CASE(chosen_buffer_stays), CASE(low_water_and_buffer),
		CASE(low_water_wakes),
	};

	return RUN_CASES(cases);
}
