// SPDX-License-Identifier: GPL-2.0
/* connect: blocking and not, refused, repeated, to itself. */
#define _GNU_SOURCE
#include "devices.h"
#include "harness.h"

#include <linux/rtnetlink.h>
#include <string.h>

static int peer_listener(union address *address)
{
	return listener_of(peer_family(), 8, address);
}

static void blocking(void)
{
	union address address;
	int server = peer_listener(&address);
	int fd = make_socket(0);

	OK(connect_to(fd, &address));
	EQ(tcp_state(fd), STATE_ESTABLISHED);
	EQ(port_of(remote_of(fd)), port_of(address));
	EQ_HOST(local_of(fd), loopback(0));
	CHECK(port_of(local_of(fd)) != 0);
	accept_one(server);
}

static void non_blocking(void)
{
	union address address;
	int server = peer_listener(&address);
	int fd = make_socket(SOCK_NONBLOCK);

	FAILS(connect_to(fd, &address), EINPROGRESS);
	EQ_BITS(poll_for(fd, POLL_ALL, 2000), POLLOUT | POLLWRNORM);
	EQ(take_error(fd), 0);
	/* Success is told once, and then that it was told. */
	OK(connect_to(fd, &address));
	FAILS(connect_to(fd, &address), EISCONN);
	accept_one(server);
}

static void connected(void)
{
	struct pair pair = make_pair();
	union address address = loopback(1);

	FAILS(connect_to(pair.fd, &address), EISCONN);
	FAILS(connect_to(pair.peer, &address), EISCONN);
}

static void refused(void)
{
	union address address = loopback(unused_port());
	int fd = make_socket(0);
	char byte;

	FAILS(connect_to(fd, &address), ECONNREFUSED);
	EQ(take_error(fd), 0);
	FAILS(recv(fd, &byte, 1, 0), ENOTCONN);
	EQ(tcp_state(fd), STATE_CLOSE);
}

/* The port belongs to the peer's family, but nobody listens. */
static void refused_by_bound(void)
{
	int holder = bound(peer_family(), 0);
	union address address = local_of(holder);

	FAILS(connect_to(make_socket(0), &address), ECONNREFUSED);
}

static void refused_non_blocking(void)
{
	union address address = loopback(unused_port());
	int fd = make_socket(SOCK_NONBLOCK);
	char byte;

	FAILS(connect_to(fd, &address), EINPROGRESS);
	EQ_BITS(poll_for(fd, POLLOUT, 2000), POLLOUT | POLLERR | POLLHUP);
	EQ_BITS(events_now(fd), POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM |
		POLLRDHUP | POLLERR | POLLHUP);
	EQ(take_error(fd), ECONNREFUSED);
	EQ(take_error(fd), 0);
	EQ_BITS(events_now(fd), POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM |
		POLLRDHUP | POLLHUP);
	EQ(recv(fd, &byte, 1, 0), 0);
	/* SO_ERROR took the reason away. */
	FAILS(connect_to(fd, &address), ECONNABORTED);
	FAILS(connect_to(fd, &address), EINPROGRESS);
}

static void refused_then_told_by_connect(void)
{
	union address address = loopback(unused_port());
	int fd = make_socket(SOCK_NONBLOCK);

	FAILS(connect_to(fd, &address), EINPROGRESS);
	CHECK(poll_for(fd, POLLOUT, 2000) & POLLERR);
	FAILS(connect_to(fd, &address), ECONNREFUSED);
	EQ(take_error(fd), 0);
}

static void refused_then_told_by_recv(void)
{
	union address address = loopback(unused_port());
	int fd = make_socket(SOCK_NONBLOCK);
	char byte;

	FAILS(connect_to(fd, &address), EINPROGRESS);
	CHECK(poll_for(fd, POLLOUT, 2000) & POLLERR);
	FAILS(recv(fd, &byte, 1, 0), ECONNREFUSED);
	EQ(recv(fd, &byte, 1, 0), 0);
}

static void again_after_failure(void)
{
	union address address;
	union address closed = loopback(unused_port());
	int server = peer_listener(&address);
	int fd = make_socket(0);

	FAILS(connect_to(fd, &closed), ECONNREFUSED);
	FAILS(connect_to(fd, &closed), ECONNREFUSED);
	OK(connect_to(fd, &address));
	send_pattern(fd, 0, 1000);
	recv_pattern(accept_one(server), 0, 1000);
}

static void under_way(void)
{
	union address address = silent_host();
	union address name;
	socklen_t length = sizeof(name);
	int fd = make_socket(SOCK_NONBLOCK);
	char byte;

	FAILS(connect_to(fd, &address), EINPROGRESS);
	FAILS(connect_to(fd, &address), EALREADY);
	EQ_BITS(events_now(fd), 0);
	EQ(tcp_state(fd), STATE_SYN_SENT);
	FAILS(send(fd, "x", 1, 0), EAGAIN);
	FAILS(recv(fd, &byte, 1, 0), EAGAIN);
	FAILS(getpeername(fd, &name.any, &length), ENOTCONN);
	EQ_HOST(local_of(fd), silent_source(0));
	FAILS(listen(fd, 1), EINVAL);
	address = local_of(fd);
	FAILS(bind_to(fd, &address), EINVAL);
	EQ(take_error(fd), 0);
	OK(shutdown(fd, SHUT_RDWR));
	EQ(tcp_state(fd), STATE_CLOSE);
	CHECK(events_now(fd) & POLLHUP);
}

static void closed_under_way(void)
{
	union address address = silent_host();

	for (int i = 0; i < 50; i++) {
		int fd = make_socket(SOCK_NONBLOCK);

		FAILS(connect_to(fd, &address), EINPROGRESS);
		OK(close(fd));
	}
}

static void send_timeout(void)
{
	union address address = silent_host();
	struct timeval limit = { .tv_usec = 300000 };
	int fd = make_socket(0);
	long long before = now_ms();

	OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	FAILS(connect_to(fd, &address), EINPROGRESS);
	BETWEEN(now_ms() - before, 250, 3000);
	FAILS(connect_to(fd, &address), EALREADY);
}

static void interrupted(void)
{
	union address address = silent_host();
	int fd = make_socket(0);
	long long before = now_ms();

	interrupt_after(200, 0);
	FAILS(connect_to(fd, &address), EINTR);
	BETWEEN(now_ms() - before, 150, 3000);
	/* It goes on without us. */
	EQ(tcp_state(fd), STATE_SYN_SENT);
}

static void no_route(void)
{
	static const struct {
		int type;
		int error;
	} routes[] = {
		{ RTN_UNREACHABLE, EHOSTUNREACH },
		{ RTN_PROHIBIT, EACCES },
		{ RTN_BLACKHOLE, EINVAL },
	};
	union address address = foreign(1, 7);

	own_netns();
	FAILS(connect_to(make_socket(0), &address), ENETUNREACH);
	FAILS(connect_to(make_socket(SOCK_NONBLOCK), &address), ENETUNREACH);
	for (int i = 0; i < 3; i++) {
		address = foreign(2 + i, 7);
		add_refusal(host_text(address), routes[i].type);
		FAILS(connect_to(make_socket(0), &address), routes[i].error);
	}
}

static void not_one_host(void)
{
	union address address = silent_host();

	address = numeric("224.0.0.1", "ff0e::1", 7);
	FAILS(connect_to(make_socket(0), &address), ENETUNREACH);
}

static void broadcast(void)
{
	union address address = silent_host();

	address = numeric("10.9.0.255", "::", 7);
	FAILS(connect_to(make_socket(0), &address), ENETUNREACH);
}

static void bad_addresses(void)
{
	union address address = loopback(7);
	socklen_t least = v6() ? offsetof(struct sockaddr_in6, sin6_scope_id) :
				 sizeof(struct sockaddr_in);
	int fd = make_socket(0);

	FAILS(connect(fd, &address.any, 0), EINVAL);
	FAILS(connect(fd, &address.any, 1), EINVAL);
	FAILS(connect(fd, &address.any, least - 1), EINVAL);
	FAILS(connect(fd, &address.any, 4096), EINVAL);
	FAILS(connect(fd, (struct sockaddr *)8, least), EFAULT);
	address.any.sa_family = v6() ? AF_INET : AF_INET6;
	FAILS(connect(fd, &address.any, least), EAFNOSUPPORT);
	address.any.sa_family = AF_OXTCP;
	FAILS(connect(fd, &address.any, least), EAFNOSUPPORT);
}

static void wildcard_destination(void)
{
	union address address;
	int server = peer_listener(&address);
	int fd = make_socket(0);

	address = wildcard(port_of(address));
	OK(connect_to(fd, &address));
	EQ_HOST(remote_of(fd), loopback(0));
	accept_one(server);
}

static void from_bound(void)
{
	union address address;
	union address source = second_local(0);
	int server = peer_listener(&address);
	int fd = make_socket(0);

	OK(bind_to(fd, &source));
	source = local_of(fd);
	OK(connect_to(fd, &address));
	EQ_ADDRESS(local_of(fd), source);
	EQ_ADDRESS(remote_of(accept_one(server)), source);
}

/* A socket that is its own peer: RFC 9293's simultaneous open. */
static void to_itself(void)
{
	int fd = bound(family(), 0);
	union address address = local_of(fd);

	OK(connect_to(fd, &address));
	EQ(tcp_state(fd), STATE_ESTABLISHED);
	EQ(port_of(remote_of(fd)), port_of(address));
	send_pattern(fd, 0, 5000);
	recv_pattern(fd, 0, 5000);
	OK(shutdown(fd, SHUT_WR));
	expect_end(fd);
}

/* Both ends of one four-tuple cannot be used again. */
static void tuple_in_use(void)
{
	union address address;
	union address source = loopback(0);
	int first = make_socket(0);
	int second = make_socket(0);

	peer_listener(&address);
	set_option(first, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(second, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(first, &source));
	source = local_of(first);
	OK(bind_to(second, &source));
	OK(connect_to(first, &address));
	FAILS(connect_to(second, &address), EADDRNOTAVAIL);
}

static void ephemeral_ports_differ(void)
{
	union address address;
	uint16_t ports[8];
	int steps = 0;
	int server = peer_listener(&address);

	for (int i = 0; i < 8; i++) {
		int fd = make_socket(0);

		OK(connect_to(fd, &address));
		ports[i] = port_of(local_of(fd));
		BETWEEN(ports[i], 1024, 65535);
		accept_one(server);
		for (int j = 0; j < i; j++)
			CHECK(ports[i] != ports[j]);
		if (i)
			steps += ports[i] == ports[i - 1] + 1;
	}
	/* Not a plain counter. */
	CHECK(steps < 7);
}

/* Connections share a port as long as their peers differ. */
static void few_ephemeral_ports(void)
{
	union address address[3];
	int servers[3];
	int fd;

	own_netns();
	for (int i = 0; i < 3; i++)
		servers[i] = peer_listener(&address[i]);
	write_setting("ipv4/ip_local_port_range", "30000 30001");
	for (int i = 0; i < 3; i++) {
		for (int j = 0; j < 2; j++) {
			fd = make_socket(0);
			OK(connect_to(fd, &address[i]));
			BETWEEN(port_of(local_of(fd)), 30000, 30001);
			send_pattern(fd, 0, 100);
			recv_pattern(accept_one(servers[i]), 0, 100);
		}
	}
	FAILS(connect_to(make_socket(0), &address[2]), EADDRNOTAVAIL);
	/* Another port helps. */
	write_setting("ipv4/ip_local_port_range", "30002 30002");
	OK(connect_to(make_socket(0), &address[2]));
}

/* A port can be listened on while one connects from it to elsewhere. */
static void listens_beside(void)
{
	union address address = silent_host();
	union address here = loopback(0);
	int connecting = make_socket(SOCK_NONBLOCK);
	int server = make_socket(0);
	int client = make_socket_of(peer_family(), 0);

	here = wildcard(port_of(here));
	set_option(connecting, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(connecting, &here));
	FAILS(connect_to(connecting, &address), EINPROGRESS);
	EQ(tcp_state(connecting), STATE_SYN_SENT);
	set_port(&here, port_of(local_of(connecting)));
	set_option(server, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(server, &here));
	OK(listen(server, 1));
	here = loopback(port_of(here));
	OK(connect_to(client, &here));
	accept_one(server);
	EQ(tcp_state(connecting), STATE_SYN_SENT);
}

static void disconnect(void)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	union address address;
	int server = peer_listener(&address);
	int fd = make_socket(0);
	int child;
	char byte;

	OK(connect_to(fd, &address));
	child = accept_one(server);
	OK(connect(fd, &none, sizeof(none)));
	EQ(tcp_state(fd), STATE_CLOSE);
	/* Linux resets a connection that is left in this way. */
	EQ_BITS(events_now(fd), POLLOUT | POLLWRNORM | POLLHUP | POLLERR);
	EQ(take_error(fd), ECONNRESET);
	EQ_BITS(events_now(fd), POLLOUT | POLLWRNORM | POLLHUP);
	FAILS(recv(child, &byte, 1, 0), ECONNRESET);
	OK(connect_to(fd, &address));
	child = accept_one(server);
	send_pattern(fd, 0, 100);
	recv_pattern(child, 0, 100);
}

static void connect_when_ready(void *argument)
{
	OK(connect_to(make_socket(0), argument));
	sleep_ms(300);
}

static void several_at_once(void)
{
	union address address;
	int server = peer_listener(&address);
	pid_t children[6];

	for (int i = 0; i < 6; i++)
		children[i] = start(connect_when_ready, &address);
	for (int i = 0; i < 6; i++)
		accept_one(server);
	for (int i = 0; i < 6; i++)
		finish(children[i]);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(blocking),			CASE(non_blocking),
		CASE(connected),		CASE(refused),
		CASE(refused_by_bound),		CASE(refused_non_blocking),
		CASE(refused_then_told_by_connect),
		CASE(refused_then_told_by_recv),
		CASE(again_after_failure),	CASE(under_way),
		CASE(closed_under_way),		CASE(send_timeout),
		CASE(interrupted),		CASE(no_route),
		CASE(not_one_host),		CASE_V4(broadcast),
			CASE(bad_addresses),
		CASE(wildcard_destination),	CASE(from_bound),
		CASE(to_itself),		CASE(tuple_in_use),
		CASE(ephemeral_ports_differ),	CASE(few_ephemeral_ports),
		CASE(listens_beside),		CASE(disconnect),
		CASE(several_at_once),
	};

	return RUN_CASES(cases);
}
