// SPDX-License-Identifier: GPL-2.0
/* bind: addresses, ports, and who holds them. */
#define _GNU_SOURCE
#include "harness.h"

#include <string.h>

static void unbound(void)
{
	int fd = make_socket(0);
	union address address = local_of(fd);
	socklen_t length = sizeof(address);

	EQ(port_of(address), 0);
	EQ_HOST(address, wildcard(0));
	FAILS(getpeername(fd, &address.any, &length), ENOTCONN);
}

static void port_zero(void)
{
	union address first = local_of(bound(family(), 0));
	union address second = local_of(bound(family(), 0));

	EQ_HOST(first, loopback(0));
	CHECK(port_of(first) >= 1024);
	CHECK(port_of(first) != port_of(second));
}

static void given_port(void)
{
	uint16_t port = unused_port();
	union address address = local_of(bound(family(), port));

	EQ(port_of(address), port);
	EQ_HOST(address, loopback(0));
}

static void name_cut_short(void)
{
	int fd = bound(family(), 0);
	union address address = local_of(fd);
	char part[4];
	socklen_t length = sizeof(part);

	OK(getsockname(fd, (struct sockaddr *)part, &length));
	EQ(length, length_of(&address));
	CHECK(memcmp(part, &address, sizeof(part)) == 0);
	length = -1;
	FAILS(getsockname(fd, (struct sockaddr *)part, &length), EINVAL);
	length = sizeof(address);
	FAILS(getsockname(fd, (struct sockaddr *)8, &length), EFAULT);
}

static void busy_port(void)
{
	union address address = local_of(bound(family(), 0));
	int fd = make_socket(0);

	FAILS(bind_to(fd, &address), EADDRINUSE);
	address = wildcard(port_of(address));
	FAILS(bind_to(fd, &address), EADDRINUSE);
	/* The socket is as it was, and another address of ours is free. */
	address = second_local(port_of(address));
	OK(bind_to(fd, &address));
}

static void busy_wildcard(void)
{
	union address address = loopback(0);
	int holder = make_socket(0);
	int fd = make_socket(0);

	address = wildcard(port_of(address));
	OK(bind_to(holder, &address));
	address = local_of(holder);
	EQ_HOST(address, wildcard(0));
	address = loopback(port_of(address));
	FAILS(bind_to(fd, &address), EADDRINUSE);
	close(holder);
	OK(bind_to(fd, &address));
}

/* A port that the other family holds is busy, whichever came first. */
static void busy_in_other_family(void)
{
	union address address = local_of(bound(other_family(), 0));
	int fd = make_socket(0);

	FAILS(bind_to(fd, &address), EADDRINUSE);
	address = wildcard(port_of(address));
	FAILS(bind_to(fd, &address), EADDRINUSE);
}

static void listening_in_other_family(void)
{
	union address address;
	int fd = make_socket(0);
	int holder = listener_of(other_family(), 1, &address);

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	FAILS(bind_to(fd, &address), EADDRINUSE);
	close(holder);
	OK(bind_to(fd, &address));
	OK(listen(fd, 1));
}

static void free_after_close(void)
{
	int holder = bound(family(), 0);
	union address address = local_of(holder);
	int fd = make_socket_of(other_family(), 0);

	close(holder);
	OK(bind_to(fd, &address));
	close(fd);
	fd = make_socket(0);
	OK(bind_to(fd, &address));
	OK(listen(fd, 1));
	close(fd);
	fd = make_socket(0);
	OK(bind_to(fd, &address));
}

static void twice(void)
{
	int fd = bound(family(), 0);
	union address address = loopback(0);

	FAILS(bind_to(fd, &address), EINVAL);
	address = local_of(fd);
	FAILS(bind_to(fd, &address), EINVAL);
}

static void connected(void)
{
	struct pair pair = make_pair();
	union address address = loopback(0);

	FAILS(bind_to(pair.fd, &address), EINVAL);
}

static void foreign_address(void)
{
	union address address = loopback(0);
	int fd = make_socket(0);

	address = foreign(1, 0);
	FAILS(bind_to(fd, &address), EADDRNOTAVAIL);
	address = loopback(0);
	OK(bind_to(fd, &address));
}

static void whole_loopback_net(void)
{
	union address address = numeric("127.1.2.3", "::1", 0);
	int fd = make_socket(0);

	OK(bind_to(fd, &address));
	EQ_HOST(local_of(fd), address);
}

static void short_address(void)
{
	union address address = loopback(0);
	/* The scope, which an address of RFC 2133 had not, may be missing. */
	socklen_t least = v6() ? offsetof(struct sockaddr_in6, sin6_scope_id) :
				 sizeof(struct sockaddr_in);
	int fd = make_socket(0);

	FAILS(bind(fd, &address.any, 0), EINVAL);
	FAILS(bind(fd, &address.any, 2), EINVAL);
	FAILS(bind(fd, &address.any, least - 1), EINVAL);
	FAILS(bind(fd, &address.any, 4096), EINVAL);
	FAILS(bind(fd, (struct sockaddr *)8, least), EFAULT);
	OK(bind(fd, &address.any, least));
	fd = make_socket(0);
	OK(bind_to(fd, &address));
}

static void wrong_family(void)
{
	const sa_family_t wrong[] = {
		v6() ? AF_INET : AF_INET6, AF_OXTCP, AF_UNSPEC, AF_UNIX, 77,
	};
	union address address = loopback(0);
	socklen_t length = length_of(&address);
	int fd = make_socket(0);

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		address.any.sa_family = wrong[i];
		FAILS(bind(fd, &address.any, length), EAFNOSUPPORT);
	}
}

/* Old programs leave the family empty, with the wildcard only. */
static void empty_family(void)
{
	union address address = wildcard(0);
	socklen_t length = length_of(&address);
	int fd = make_socket(0);

	address.any.sa_family = AF_UNSPEC;
	if (v6())
		FAILS(bind(fd, &address.any, length), EAFNOSUPPORT);
	else
		OK(bind(fd, &address.any, length));
}

static void privileged_port(void)
{
	union address address = loopback(1000);
	int fd;

	if (getuid() != 0)
		skip("needs root");
	own_netns();
	fd = make_socket(0);
	OK(bind_to(fd, &address));
	OK(setresuid(65534, 65534, 65534));
	fd = make_socket(0);
	set_port(&address, 1001);
	FAILS(bind_to(fd, &address), EACCES);
	set_port(&address, 1024);
	OK(bind_to(fd, &address));
}

static void range_of_ports(void)
{
	union address address = loopback(0);
	int sockets[4];
	int fd;

	own_netns();
	write_setting("ipv4/ip_local_port_range", "40000 40003");
	for (int i = 0; i < 4; i++) {
		sockets[i] = bound(family(), 0);
		BETWEEN(port_of(local_of(sockets[i])), 40000, 40003);
	}
	fd = make_socket(0);
	FAILS(bind_to(fd, &address), EADDRINUSE);
	close(sockets[1]);
	OK(bind_to(fd, &address));
}

static void reserved_ports(void)
{
	own_netns();
	write_setting("ipv4/ip_local_port_range", "40000 40003");
	write_setting("ipv4/ip_local_reserved_ports", "40001-40003");
	EQ(port_of(local_of(bound(family(), 0))), 40000);
}

static void reuse_address(void)
{
	union address address = loopback(0);
	int first = make_socket(0);
	int second = make_socket(0);

	set_option(first, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(first, &address));
	address = local_of(first);
	FAILS(bind_to(second, &address), EADDRINUSE);
	/* Both agreed and neither listens. */
	set_option(second, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(second, &address));
	OK(listen(first, 1));
	FAILS(listen(second, 1), EADDRINUSE);
	close(first);
	OK(listen(second, 1));
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(unbound),			CASE(port_zero),
		CASE(given_port),		CASE(name_cut_short),
		CASE(busy_port),		CASE(busy_wildcard),
		CASE(busy_in_other_family),
		CASE(listening_in_other_family),
		CASE(free_after_close),		CASE(twice),
		CASE(connected),		CASE(foreign_address),
		CASE_V4(whole_loopback_net),	CASE(short_address),
		CASE(wrong_family),		CASE(empty_family),
		CASE(privileged_port),
		CASE(range_of_ports),		CASE(reserved_ports),
		CASE(reuse_address),
	};

	return RUN_CASES(cases);
}
