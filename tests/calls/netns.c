// SPDX-License-Identifier: GPL-2.0
/* Network namespaces: each has ports, listeners and connections of its own. */
#define _GNU_SOURCE
#include "harness.h"

#include <string.h>

static void same_port_twice(void)
{
	union address address;
	int first = new_netns();
	int second = new_netns();
	int servers[2], clients[2];

	enter_netns(first);
	servers[0] = listener(1, &address);
	enter_netns(second);
	servers[1] = bound(family(), port_of(address));
	OK(listen(servers[1], 1));
	clients[1] = make_socket_of(peer_family(), 0);
	OK(connect_to(clients[1], &address));
	enter_netns(first);
	clients[0] = make_socket_of(peer_family(), 0);
	OK(connect_to(clients[0], &address));

	set_nonblocking(servers[0], true);
	set_nonblocking(servers[1], true);
	for (int i = 0; i < 2; i++) {
		int child = accept_one(servers[i]);

		FAILS(accept(servers[i], NULL, NULL), EAGAIN);
		EQ(port_of(remote_of(child)), port_of(local_of(clients[i])));
		send_pattern(clients[i], i, 1000);
		recv_pattern(child, i, 1000);
	}
}

static void not_seen_elsewhere(void)
{
	union address address;

	enter_netns(new_netns());
	listener(1, &address);
	enter_netns(new_netns());
	FAILS(connect_to(make_socket_of(peer_family(), 0), &address),
	      ECONNREFUSED);
	FAILS(connect_to(make_socket(0), &address), ECONNREFUSED);
}

static void between(void)
{
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);

	EQ_HOST(local_of(pair.fd), near_address(0));
	EQ_HOST(remote_of(pair.fd), far_address(0));
	for (int i = 0; i < 20; i++) {
		send_pattern(pair.fd, 0, 20000);
		recv_pattern(pair.peer, 0, 20000);
		send_pattern(pair.peer, 0, 20000);
		recv_pattern(pair.fd, 0, 20000);
	}
	close(pair.fd);
	expect_end(pair.peer);
}

static void refused_from_afar(void)
{
	struct link link = make_link(NULL);
	union address address = far_address(4321);

	(void)link;
	FAILS(connect_to(make_socket(0), &address), ECONNREFUSED);
}

static void nobody_on_the_link(void)
{
	struct link link = make_link(NULL);
	union address address = numeric("10.1.0.77", "fd01::77", 4321);

	(void)link;
	/* Finding it fails after three seconds, and that is told at once. */
	FAILS(connect_to(make_socket(0), &address), EHOSTUNREACH);
}

static void socket_stays_where_made(void)
{
	union address address;
	int first = new_netns();
	int second = new_netns();
	int server, fd;

	enter_netns(first);
	server = listener(1, &address);
	fd = make_socket_of(peer_family(), 0);
	enter_netns(second);
	OK(connect_to(fd, &address));
	send_pattern(fd, 0, 10);
	recv_pattern(accept_one(server), 0, 10);
}

/* Namespaces that go while sockets in them live: the sockets keep them. */
static void sockets_outlive_names(void)
{
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);

	enter_netns(new_netns());
	close(link.near);
	close(link.far);
	send_pattern(pair.fd, 0, 10000);
	recv_pattern(pair.peer, 0, 10000);
	send_pattern(pair.peer, 0, 10000);
	recv_pattern(pair.fd, 0, 10000);
}

/* Namespaces go at once with connections, listeners and half-made ones. */
static void destroyed_with_orphans(void)
{
	for (int round = 0; round < 10; round++) {
		struct link link = make_link("delay 20ms");
		union address address = far_address(7);
		struct pair pair = make_pair_over(&link);
		int fd = make_socket(SOCK_NONBLOCK);
		union address listening;

		listener(1, &listening);
		OK(connect_to(make_socket_of(peer_family(), 0), &listening));
		FAILS(connect_to(fd, &address), EINPROGRESS);
		send_pattern(pair.fd, 0, 20000);
		send_pattern(pair.peer, 0, 5000);
		enter_netns(new_netns());
		close(pair.fd);
		close(pair.peer);
		close(fd);
		close(link.near);
		close(link.far);
		for (int i = 3; i < 64; i++)
			close(i);
	}
	sleep_ms(500);
}

static void device_vanishes(void)
{
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);
	char byte;

	shell("ip link del near");
	send_pattern(pair.fd, 0, 1000);
	sleep_ms(500);
	EQ(tcp_state(pair.fd), STATE_ESTABLISHED);
	FAILS(recv(pair.peer, &byte, 1, MSG_DONTWAIT), EAGAIN);
	/* Or they would be orphans that try for minutes. */
	linger_zero(pair.fd);
	linger_zero(pair.peer);
}

static void device_pauses(void)
{
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);

	shell("ip link set near down");
	send_pattern(pair.fd, 0, 1000);
	sleep_ms(700);
	shell("ip link set near up");
	recv_pattern(pair.peer, 0, 1000);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(same_port_twice),	CASE(not_seen_elsewhere),
		CASE(between),		CASE(refused_from_afar),
		CASE(nobody_on_the_link), CASE(socket_stays_where_made),
		CASE(sockets_outlive_names),
		CASE(destroyed_with_orphans),
		CASE(device_vanishes),	CASE(device_pauses),
	};

	if (getuid() != 0)
		return 4;
	return RUN_CASES(cases);
}
