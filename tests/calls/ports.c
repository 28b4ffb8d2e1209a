// SPDX-License-Identifier: GPL-2.0
/* Ports: which ones are chosen, and when they are free again. */
#define _GNU_SOURCE
#include "harness.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <string.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE	51
#endif

#define LOW	40000

/* A namespace of its own, where so many ports from LOW on are chosen from. */
static void with_range(int count)
{
	char range[40];

	own_netns();
	snprintf(range, sizeof(range), "%d %d", LOW, LOW + count - 1);
	write_setting("ipv4/ip_local_port_range", range);
}

/* A listener of the peer's family. */
static void listen_at(const union address *address, int backlog)
{
	int fd = make_socket_of(peer_family(), 0);

	OK(bind_to(fd, address));
	OK(listen(fd, backlog));
}

/* A listener that may follow another. */
static int reusing_listener(int af, const union address *address)
{
	int fd = make_socket_of(af, 0);

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(fd, address));
	OK(listen(fd, 5));
	return fd;
}

/* The connection goes on, both ways. */
static void talk(int fd, int child)
{
	send_pattern(fd, 0, 1000);
	recv_pattern(child, 0, 1000);
	send_pattern(child, 0, 1000);
	recv_pattern(fd, 0, 1000);
}

static int connected_to(const union address *address)
{
	int fd = make_socket(0);

	OK(connect_to(fd, address));
	return fd;
}

static uint16_t local_port(int fd)
{
	return port_of(local_of(fd));
}

/* bind() leaves to connect() the ports with the parity of the range's first. */
static void parity(void)
{
	union address server;

	with_range(100);
	listener_of(peer_family(), 60, &server);
	for (int i = 0; i < 30; i++) {
		EQ(local_port(bound(family(), 0)) & 1, 1);
		EQ(local_port(connected_to(&server)) & 1, 0);
	}
}

/*
 * Connections to one place take ports in turn, with steps that vary. Every ten
 * seconds the turn begins anew elsewhere, which a slow guest gets to see.
 */
static void in_turn(void)
{
	union address server;
	int elsewhere = 0;
	int large = 0;
	int previous;

	with_range(20000);
	listener_of(peer_family(), 60, &server);
	previous = local_port(connected_to(&server));
	for (int i = 0; i < 50; i++) {
		int next = local_port(connected_to(&server));
		int step = (next - previous + 20000) % 20000;

		EQ(step & 1, 0);
		elsewhere += step < 2 || step > 16;
		large += step > 2 && step <= 16;
		previous = next;
	}
	BETWEEN(elsewhere, 0, 4);
	CHECK(large > 10);
}

/* Those to different places begin anywhere. */
static void anywhere(void)
{
	int near = 0;
	int previous = 0;

	with_range(20000);
	for (int i = 0; i < 20; i++) {
		union address server;
		int next;

		close(listener_of(peer_family(), 1, &server));
		listener_of(peer_family(), 1, &server);
		next = local_port(connected_to(&server));
		near += abs(next - previous) < 100;
		previous = next;
	}
	CHECK(near < 5);
}

/* All ports of a range are found, in whatever order they are tried. */
static void all_used(const char *step_width)
{
	bool used[16] = { false };
	union address servers[2];
	union address any = loopback(0);
	int first = -1;
	int fd;

	with_range(16);
	write_setting("ipv4/ip_local_port_step_width", step_width);
	for (int i = 0; i < 2; i++) {
		servers[i] = loopback(7000 + i);
		listen_at(&servers[i], 20);
	}
	for (int i = 0; i < 16; i++) {
		fd = connected_to(&servers[0]);
		BETWEEN(local_port(fd), LOW, LOW + 15);
		CHECK(!used[local_port(fd) - LOW]);
		used[local_port(fd) - LOW] = true;
		if (first < 0)
			first = fd;
	}
	fd = make_socket(0);
	FAILS(connect_to(fd, &servers[0]), EADDRNOTAVAIL);
	EQ(local_port(fd), 0);
	/* Each may be used for another peer as well, but is nobody's to bind. */
	OK(connect_to(fd, &servers[1]));
	for (int i = 0; i < 15; i++)
		connected_to(&servers[1]);
	fd = make_socket(0);
	FAILS(connect_to(fd, &servers[1]), EADDRNOTAVAIL);
	FAILS(bind_to(fd, &any), EADDRINUSE);
	/* One that ends lets another in. */
	linger_zero(first);
	fd = local_port(first);
	close(first);
	EQ(local_port(connected_to(&servers[0])), fd);
}

static void exhausted(void)
{
	all_used("0");
}

static void exhausted_in_steps(void)
{
	all_used("7");
}

static void reserved(void)
{
	char reserved_ports[40];
	union address server;

	with_range(8);
	snprintf(reserved_ports, sizeof(reserved_ports), "%d-%d", LOW + 1,
		 LOW + 6);
	write_setting("ipv4/ip_local_reserved_ports", reserved_ports);
	server = loopback(7000);
	listen_at(&server, 10);
	for (int i = 0; i < 2; i++) {
		int port = local_port(connected_to(&server));

		CHECK(port == LOW || port == LOW + 7);
	}
	FAILS(connect_to(make_socket(0), &server), EADDRNOTAVAIL);
	/* Who names one gets it. */
	EQ(local_port(bound(family(), LOW + 3)), LOW + 3);
}

/* IP_LOCAL_PORT_RANGE: a part of the namespace's range, for one socket. */
static void own_range(void)
{
	union address server = loopback(7000);
	union address any = loopback(0);
	int fds[5];
	int fd;

	with_range(1000);
	/* Apart, so that it has none of those ports. */
	listen_at(&server, 20);
	for (int i = 0; i < 5; i++) {
		fds[i] = make_socket(0);
		set_option(fds[i], IPPROTO_IP, IP_LOCAL_PORT_RANGE,
			   (LOW + 503) << 16 | (LOW + 500));
	}
	for (int i = 0; i < 4; i++) {
		OK(connect_to(fds[i], &server));
		BETWEEN(local_port(fds[i]), LOW + 500, LOW + 503);
	}
	FAILS(connect_to(fds[4], &server), EADDRNOTAVAIL);
	for (int i = 0; i < 4; i++) {
		linger_zero(fds[i]);
		close(fds[i]);
	}
	for (int i = 0; i < 4; i++) {
		fd = make_socket(0);
		set_option(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE,
			   (LOW + 503) << 16 | (LOW + 500));
		OK(bind_to(fd, &any));
		BETWEEN(local_port(fd), LOW + 500, LOW + 503);
	}
	FAILS(bind_to(fds[4], &any), EADDRINUSE);
	/* Not within the namespace's: that one stands. */
	fd = make_socket(0);
	set_option(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, 5003 << 16 | 5000);
	OK(bind_to(fd, &any));
	BETWEEN(local_port(fd), LOW, LOW + 999);
}

/* IP_BIND_ADDRESS_NO_PORT: connect() chooses, knowing the peer. */
static void no_port(void)
{
	union address servers[2];
	union address source;
	int fd;

	with_range(1);
	source = second_local(0);
	for (int i = 0; i < 2; i++) {
		servers[i] = loopback(7000 + i);
		listen_at(&servers[i], 5);
	}
	for (int i = 0; i < 2; i++) {
		fd = make_socket(0);
		set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
		OK(bind_to(fd, &source));
		EQ(local_port(fd), 0);
		EQ_HOST(local_of(fd), source);
		OK(connect_to(fd, &servers[i]));
		EQ(local_port(fd), LOW);
		EQ_HOST(local_of(fd), source);
	}
	fd = make_socket(0);
	set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	OK(bind_to(fd, &source));
	FAILS(connect_to(fd, &servers[0]), EADDRNOTAVAIL);
	/* It has its address still, and one more peer may come. */
	EQ_HOST(local_of(fd), source);
	/* A port that is named is taken at once. */
	fd = make_socket(0);
	set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	set_port(&source, LOW + 1);
	OK(bind_to(fd, &source));
	EQ(local_port(fd), LOW + 1);
}

/* With ip_autobind_reuse, bind(0) shares a port where both sides allow it. */
static void autobind_reuse(void)
{
	union address any = loopback(0);
	int fds[3];

	with_range(1);
	for (int i = 0; i < 3; i++) {
		fds[i] = make_socket(0);
		set_option(fds[i], SOL_SOCKET, SO_REUSEADDR, 1);
	}
	OK(bind_to(fds[0], &any));
	FAILS(bind_to(fds[1], &any), EADDRINUSE);
	write_setting("ipv4/ip_autobind_reuse", "1");
	OK(bind_to(fds[1], &any));
	EQ(local_port(fds[1]), LOW);
	set_option(fds[2], SOL_SOCKET, SO_REUSEADDR, 0);
	FAILS(bind_to(fds[2], &any), EADDRINUSE);
}

/* A port that a connection has chosen is busy at its address alone. */
static void chosen_port(void)
{
	union address server;
	union address address;
	int fd;

	own_netns();
	listener_of(peer_family(), 5, &server);
	fd = connected_to(&server);
	address = local_of(fd);
	FAILS(bind_to(make_socket(0), &address), EADDRINUSE);
	FAILS(bind_to(make_socket_of(other_family(), 0), &address), EADDRINUSE);
	address = wildcard(local_port(fd));
	FAILS(bind_to(make_socket(0), &address), EADDRINUSE);
	FAILS(bind_to(make_socket_of(other_family(), 0), &address), EADDRINUSE);
	address = second_local(local_port(fd));
	OK(bind_to(make_socket(0), &address));
	FAILS(bind_to(make_socket_of(other_family(), 0), &address), EADDRINUSE);
	/* SO_REUSEADDR must be on both sides, and may come late. */
	address = local_of(fd);
	{
		int second = make_socket(0);
		int other = make_socket_of(other_family(), 0);

		set_option(second, SOL_SOCKET, SO_REUSEADDR, 1);
		set_option(other, SOL_SOCKET, SO_REUSEADDR, 1);
		FAILS(bind_to(second, &address), EADDRINUSE);
		FAILS(bind_to(other, &address), EADDRINUSE);
		set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		OK(bind_to(second, &address));
		OK(bind_to(other, &address));
	}
}

/* An option that is set or taken back after bind() counts. */
static void option_later(void)
{
	int afs[] = { family(), other_family() };

	for (int i = 0; i < 2; i++) {
		union address address = loopback(0);
		int first = make_socket(0);
		int second = make_socket_of(afs[i], 0);

		OK(bind_to(first, &address));
		address = local_of(first);
		set_option(second, SOL_SOCKET, SO_REUSEADDR, 1);
		FAILS(bind_to(second, &address), EADDRINUSE);
		set_option(first, SOL_SOCKET, SO_REUSEADDR, 1);
		OK(bind_to(second, &address));
		close(second);
		second = make_socket_of(afs[i], 0);
		set_option(second, SOL_SOCKET, SO_REUSEPORT, 1);
		FAILS(bind_to(second, &address), EADDRINUSE);
		set_option(first, SOL_SOCKET, SO_REUSEPORT, 1);
		OK(bind_to(second, &address));
		close(second);
		set_option(first, SOL_SOCKET, SO_REUSEPORT, 0);
		second = make_socket_of(afs[i], 0);
		set_option(second, SOL_SOCKET, SO_REUSEADDR, 1);
		OK(bind_to(second, &address));
		OK(listen(second, 1));
		close(second);
		close(first);
	}
}

/*
 * A server that begins again while connections of the one before it live, are
 * in TIME-WAIT, or both.
 */
static void begin_again(bool time_wait, bool reuse, int af)
{
	union address address = wildcard(0);
	int server = make_socket(0);
	union address target;
	int child;
	int fd;

	if (reuse)
		set_option(server, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(server, &address));
	OK(listen(server, 5));
	set_port(&address, local_port(server));
	target = loopback(local_port(server));
	fd = make_socket_of(peer_family(), 0);
	OK(connect_to(fd, &target));
	child = accept_one(server);
	close(server);
	if (time_wait) {
		close(child);
		expect_end(fd);
		close(fd);
		sleep_ms(50);
	}
	/* Not without the option, on both sides. */
	server = make_socket_of(af, 0);
	FAILS(bind_to(server, &address), EADDRINUSE);
	FAILS(bind_to(server, &target), EADDRINUSE);
	set_option(server, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!reuse) {
		FAILS(bind_to(server, &address), EADDRINUSE);
	} else {
		OK(bind_to(server, &address));
		OK(listen(server, 5));
		/* The old connection and a new one go on side by side. */
		if (!time_wait) {
			int second = make_socket_of(peer_family(), 0);

			OK(connect_to(second, &target));
			talk(second, accept_one(server));
			talk(fd, child);
		}
	}
	close(server);
	/* At another address the port is free. */
	target = second_local(port_of(target));
	server = make_socket_of(af, 0);
	OK(bind_to(server, &target));
}

static void again_while_connected(void)
{
	own_netns();
	for (int i = 0; i < 4; i++)
		begin_again(false, i & 1, i & 2 ? family() : other_family());
}

static void again_in_time_wait(void)
{
	own_netns();
	for (int i = 0; i < 4; i++)
		begin_again(true, i & 1, i & 2 ? family() : other_family());
}

/* The same of the other family's server, with ours to follow. */
static void after_the_other(void)
{
	union address address = wildcard(0);
	union address target;
	int server, child, fd, second;

	own_netns();
	server = reusing_listener(other_family(), &address);
	set_port(&address, local_port(server));
	target = loopback(local_port(server));
	fd = make_socket_of(peer_family(), 0);
	OK(connect_to(fd, &target));
	child = accept_one(server);
	close(server);
	server = reusing_listener(family(), &address);
	talk(fd, child);
	second = make_socket_of(peer_family(), 0);
	OK(connect_to(second, &target));
	talk(second, accept_one(server));
	close(child);
	expect_end(fd);
}

/* A bound port stays where it is through connections, at their address. */
static void bound_and_connected(void)
{
	union address server;
	union address address = wildcard(0);
	union address unspecified = { .any.sa_family = AF_UNSPEC };
	union address second;
	int fd, port;

	own_netns();
	fd = make_socket(0);
	listener_of(peer_family(), 5, &server);
	OK(bind_to(fd, &address));
	/* Not one that bind(0) chose, which goes with the connection. */
	port = local_port(fd);
	close(fd);
	fd = make_socket(0);
	set_port(&address, port);
	OK(bind_to(fd, &address));
	second = second_local(port);
	FAILS(bind_to(make_socket(0), &second), EADDRINUSE);
	OK(connect_to(fd, &server));
	OK(bind_to(make_socket(0), &second));
	linger_zero(fd);
	OK(connect(fd, &unspecified.any, sizeof(unspecified.any)));
	EQ(local_port(fd), port);
	EQ_HOST(local_of(fd), wildcard(0));
	OK(connect_to(fd, &server));
	EQ(local_port(fd), port);
}

/*
 * Two connections between the same ends. Ours sees Linux's, but Linux's TCP
 * cannot see one of ours.
 */
static void same_ends(void)
{
	int afs[] = { family(), other_family() };

	own_netns();
	for (int i = 0; i < (ours() ? 2 : 1); i++) {
		union address source = loopback(5000 + i);
		union address server;
		int first = make_socket_of(afs[i], 0);
		int second = make_socket(0);

		listener_of(peer_family(), 5, &server);
		set_option(first, SOL_SOCKET, SO_REUSEADDR, 1);
		set_option(second, SOL_SOCKET, SO_REUSEADDR, 1);
		OK(bind_to(first, &source));
		OK(bind_to(second, &source));
		OK(connect_to(first, &server));
		FAILS(connect_to(second, &server), EADDRNOTAVAIL);
		send_pattern(first, 0, 1000);
		/* To another peer it may. */
		listener_of(peer_family(), 5, &server);
		OK(connect_to(second, &server));
	}
}

/* Addresses that are not this machine's. */
static void foreign_address(void)
{
	static const struct {
		int v4_level, v4_name, v6_level, v6_name;
	} options[] = {
		{ IPPROTO_IP, IP_FREEBIND, IPPROTO_IPV6, 78 },
		{ IPPROTO_IP, IP_TRANSPARENT, IPPROTO_IPV6, IPV6_TRANSPARENT },
	};
	union address address = foreign(1, 0);

	own_netns();
	FAILS(bind_to(make_socket(0), &address), EADDRNOTAVAIL);
	for (int i = 0; i < 2; i++) {
		int fd = make_socket(0);

		set_option(fd, v6() ? options[i].v6_level : options[i].v4_level,
			   v6() ? options[i].v6_name : options[i].v4_name, 1);
		OK(bind_to(fd, &address));
		EQ_HOST(local_of(fd), address);
		CHECK(local_port(fd) != 0);
	}
	write_setting(v6() ? "ipv6/ip_nonlocal_bind" : "ipv4/ip_nonlocal_bind",
		      "1");
	OK(bind_to(make_socket(0), &address));
}

static void unprivileged_start(void)
{
	union address address = loopback(80);

	own_netns();
	write_setting("ipv4/ip_unprivileged_port_start", "80");
	OK(setresuid(65534, 65534, 65534));
	OK(bind_to(make_socket(0), &address));
	set_port(&address, 79);
	FAILS(bind_to(make_socket(0), &address), EACCES);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(parity),			CASE(in_turn),
		CASE(anywhere),			CASE(exhausted),
		CASE(exhausted_in_steps),	CASE(reserved),
		CASE(own_range),		CASE(no_port),
		CASE(autobind_reuse),		CASE(chosen_port),
		CASE(option_later),
		CASE(again_while_connected),	CASE(again_in_time_wait),
		CASE(after_the_other),		CASE(bound_and_connected),
		CASE(same_ends),		CASE(foreign_address),
		CASE(unprivileged_start),
	};

	return RUN_CASES(cases);
}
