// SPDX-License-Identifier: GPL-2.0
/* bind: addresses, ports, and who holds them. */
#define _GNU_SOURCE
#include "harness.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

static int bind_to(int fd, const struct sockaddr_in *address)
{
	return bind(fd, (const struct sockaddr *)address, sizeof(*address));
}

static void unbound(void)
{
	int fd = make_socket(0);
	struct sockaddr_in address = local_of(fd);
	socklen_t length = sizeof(address);

	EQ(address.sin_port, 0);
	EQ(address.sin_addr.s_addr, 0);
	FAILS(getpeername(fd, (struct sockaddr *)&address, &length), ENOTCONN);
}

static void port_zero(void)
{
	struct sockaddr_in first = local_of(bound(family(), 0));
	struct sockaddr_in second = local_of(bound(family(), 0));

	EQ(ntohl(first.sin_addr.s_addr), INADDR_LOOPBACK);
	CHECK(ntohs(first.sin_port) >= 1024);
	CHECK(first.sin_port != second.sin_port);
}

static void given_port(void)
{
	uint16_t port = unused_port();
	struct sockaddr_in address = local_of(bound(family(), port));

	EQ(ntohs(address.sin_port), port);
	EQ(ntohl(address.sin_addr.s_addr), INADDR_LOOPBACK);
}

static void name_cut_short(void)
{
	int fd = bound(family(), 0);
	struct sockaddr_in address;
	char part[4];
	socklen_t length = sizeof(part);

	memset(&address, 0, sizeof(address));
	OK(getsockname(fd, (struct sockaddr *)part, &length));
	EQ(length, sizeof(address));
	address = local_of(fd);
	CHECK(memcmp(part, &address, sizeof(part)) == 0);
	length = -1;
	FAILS(getsockname(fd, (struct sockaddr *)part, &length), EINVAL);
	length = sizeof(address);
	FAILS(getsockname(fd, (struct sockaddr *)8, &length), EFAULT);
}

static void busy_port(void)
{
	struct sockaddr_in address = local_of(bound(family(), 0));
	int fd = make_socket(0);

	FAILS(bind_to(fd, &address), EADDRINUSE);
	address.sin_addr.s_addr = htonl(INADDR_ANY);
	FAILS(bind_to(fd, &address), EADDRINUSE);
	/* The socket is as it was, and another address of ours is free. */
	address.sin_addr.s_addr = inet_addr("127.0.0.2");
	OK(bind_to(fd, &address));
}

static void busy_wildcard(void)
{
	struct sockaddr_in address = loopback(0);
	int holder = make_socket(0);
	int fd = make_socket(0);

	address.sin_addr.s_addr = htonl(INADDR_ANY);
	OK(bind_to(holder, &address));
	address = local_of(holder);
	EQ(address.sin_addr.s_addr, htonl(INADDR_ANY));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	FAILS(bind_to(fd, &address), EADDRINUSE);
	close(holder);
	OK(bind_to(fd, &address));
}

/* A port that the other family holds is busy, whichever came first. */
static void busy_in_other_family(void)
{
	struct sockaddr_in address = local_of(bound(other_family(), 0));
	int fd = make_socket(0);

	FAILS(bind_to(fd, &address), EADDRINUSE);
	address.sin_addr.s_addr = htonl(INADDR_ANY);
	FAILS(bind_to(fd, &address), EADDRINUSE);
}

static void listening_in_other_family(void)
{
	struct sockaddr_in address;
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
	struct sockaddr_in address = local_of(holder);
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
	struct sockaddr_in address = loopback(0);

	FAILS(bind_to(fd, &address), EINVAL);
	address = local_of(fd);
	FAILS(bind_to(fd, &address), EINVAL);
}

static void connected(void)
{
	struct pair pair = make_pair();
	struct sockaddr_in address = loopback(0);

	FAILS(bind_to(pair.fd, &address), EINVAL);
}

static void foreign_address(void)
{
	struct sockaddr_in address = loopback(0);
	int fd = make_socket(0);

	address.sin_addr.s_addr = inet_addr("192.0.2.1");
	FAILS(bind_to(fd, &address), EADDRNOTAVAIL);
	address = loopback(0);
	OK(bind_to(fd, &address));
}

static void whole_loopback_net(void)
{
	struct sockaddr_in address = loopback(0);
	int fd = make_socket(0);

	address.sin_addr.s_addr = inet_addr("127.1.2.3");
	OK(bind_to(fd, &address));
	EQ(local_of(fd).sin_addr.s_addr, inet_addr("127.1.2.3"));
}

static void short_address(void)
{
	struct sockaddr_in address = loopback(0);
	struct sockaddr *any = (struct sockaddr *)&address;
	int fd = make_socket(0);

	FAILS(bind(fd, any, 0), EINVAL);
	FAILS(bind(fd, any, 2), EINVAL);
	FAILS(bind(fd, any, sizeof(address) - 1), EINVAL);
	FAILS(bind(fd, any, 4096), EINVAL);
	FAILS(bind(fd, (struct sockaddr *)8, sizeof(address)), EFAULT);
	OK(bind_to(fd, &address));
}

static void wrong_family(void)
{
	struct sockaddr_in address = loopback(0);
	int fd = make_socket(0);

	address.sin_family = AF_INET6;
	FAILS(bind_to(fd, &address), EAFNOSUPPORT);
	address.sin_family = AF_OXTCP;
	FAILS(bind_to(fd, &address), EAFNOSUPPORT);
	/* Old programs leave the family empty, with the wildcard only. */
	address.sin_family = AF_UNSPEC;
	FAILS(bind_to(fd, &address), EAFNOSUPPORT);
	address.sin_addr.s_addr = htonl(INADDR_ANY);
	OK(bind_to(fd, &address));
}

static void privileged_port(void)
{
	struct sockaddr_in address = loopback(1000);
	int fd;

	if (getuid() != 0)
		skip("needs root");
	own_netns();
	fd = make_socket(0);
	OK(bind_to(fd, &address));
	OK(setresuid(65534, 65534, 65534));
	fd = make_socket(0);
	address.sin_port = htons(1001);
	FAILS(bind_to(fd, &address), EACCES);
	address.sin_port = htons(1024);
	OK(bind_to(fd, &address));
}

static void range_of_ports(void)
{
	struct sockaddr_in address = loopback(0);
	int sockets[4];
	int fd;

	own_netns();
	shell("echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range");
	for (int i = 0; i < 4; i++) {
		sockets[i] = bound(family(), 0);
		BETWEEN(ntohs(local_of(sockets[i]).sin_port), 40000, 40003);
	}
	fd = make_socket(0);
	FAILS(bind_to(fd, &address), EADDRINUSE);
	close(sockets[1]);
	OK(bind_to(fd, &address));
}

static void reserved_ports(void)
{
	own_netns();
	shell("echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range");
	shell("echo 40001-40003 > /proc/sys/net/ipv4/ip_local_reserved_ports");
	EQ(ntohs(local_of(bound(family(), 0)).sin_port), 40000);
}

static void reuse_address(void)
{
	struct sockaddr_in address = loopback(0);
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
		CASE(whole_loopback_net),	CASE(short_address),
		CASE(wrong_family),		CASE(privileged_port),
		CASE(range_of_ports),		CASE(reserved_ports),
		CASE(reuse_address),
	};

	return RUN_CASES(cases);
}
