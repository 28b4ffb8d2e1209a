// SPDX-License-Identifier: GPL-2.0
/* Families, addresses of both IP versions, and sockets with them. */
#define _GNU_SOURCE
#include "devices.h"
#include "harness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int family;
	int other;
	int domain;
	int protocol;
	bool v6;
} families[] = {
	{ "inet", AF_INET, AF_OXTCP, AF_INET, 0, false },
	{ "inet6", AF_INET6, OXTCP6, AF_INET6, 0, true },
	{ "oxtcp", AF_OXTCP, AF_INET, AF_OXTCP, OXTCPPROTO_IP, false },
	{ "oxtcp6", OXTCP6, AF_INET6, AF_OXTCP, OXTCPPROTO_IPV6, true },
};

#define FAMILIES	(sizeof(families) / sizeof(families[0]))

static const char *setting(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && *value ? value : fallback;
}

int family(void)
{
	const char *name = setting("FAMILY", "inet");

	for (size_t i = 0; i < FAMILIES; i++)
		if (strcmp(name, families[i].name) == 0)
			return families[i].family;
	FAIL("FAMILY=%s", name);
}

static size_t index_of(int af)
{
	for (size_t i = 0; i < FAMILIES; i++)
		if (families[i].family == af)
			return i;
	FAIL("there is no family %d", af);
}

int domain_of(int af)
{
	return families[index_of(af)].domain;
}

int protocol_of(int af)
{
	return families[index_of(af)].protocol;
}

bool is_v6(int af)
{
	return families[index_of(af)].v6;
}

bool v6(void)
{
	return is_v6(family());
}

bool ours(void)
{
	return domain_of(family()) == AF_OXTCP;
}

int other_family(void)
{
	return families[index_of(family())].other;
}

int peer_family(void)
{
	const char *name = setting("PEER", "same");

	if (strcmp(name, "same") == 0)
		return family();
	if (strcmp(name, "other") == 0)
		return other_family();
	FAIL("PEER=%s", name);
}

bool role_passive(void)
{
	const char *name = setting("ROLE", "active");

	if (strcmp(name, "active") != 0 && strcmp(name, "passive") != 0)
		FAIL("ROLE=%s", name);
	return strcmp(name, "passive") == 0;
}

int make_socket_of(int af, int flags)
{
	int fd = socket(domain_of(af), SOCK_STREAM | flags, protocol_of(af));

	if (fd < 0 && errno == EAFNOSUPPORT && af != family())
		skip("needs the other family");
	if (fd < 0)
		FAIL("socket of family %d: %s", af, error_name(errno));
	return fd;
}

int make_socket(int flags)
{
	return make_socket_of(family(), flags);
}

union address numeric(const char *v4_text, const char *v6_text, uint16_t port)
{
	union address address;

	memset(&address, 0, sizeof(address));
	if (v6()) {
		address.v6.sin6_family = AF_INET6;
		EQ(inet_pton(AF_INET6, v6_text, &address.v6.sin6_addr), 1);
	} else {
		address.v4.sin_family = AF_INET;
		EQ(inet_pton(AF_INET, v4_text, &address.v4.sin_addr), 1);
	}
	set_port(&address, port);
	return address;
}

union address loopback(uint16_t port)
{
	return numeric("127.0.0.1", "::1", port);
}

union address wildcard(uint16_t port)
{
	return numeric("0.0.0.0", "::", port);
}

union address second_local(uint16_t port)
{
	/* IPv4 has a whole network of them, IPv6 only one address. */
	if (v6())
		add_address("lo", "fd7f::2", 128);
	return numeric("127.0.0.2", "fd7f::2", port);
}

union address foreign(unsigned int number, uint16_t port)
{
	char texts[2][INET6_ADDRSTRLEN];

	CHECK(number >= 1 && number <= 254);
	sprintf(texts[0], "192.0.2.%u", number);
	sprintf(texts[1], "2001:db8::%x", number);
	return numeric(texts[0], texts[1], port);
}

socklen_t length_of(const union address *address)
{
	return address->any.sa_family == AF_INET6 ? sizeof(address->v6) :
						     sizeof(address->v4);
}

uint16_t port_of(union address address)
{
	return ntohs(address.any.sa_family == AF_INET6 ?
		     address.v6.sin6_port : address.v4.sin_port);
}

void set_port(union address *address, uint16_t port)
{
	if (address->any.sa_family == AF_INET6)
		address->v6.sin6_port = htons(port);
	else
		address->v4.sin_port = htons(port);
}

const char *host_text(union address address)
{
	static char texts[4][INET6_ADDRSTRLEN];
	static unsigned int next;
	char *text = texts[next++ % 4];
	const void *host = address.any.sa_family == AF_INET6 ?
			   (const void *)&address.v6.sin6_addr :
			   (const void *)&address.v4.sin_addr;

	CHECK(inet_ntop(address.any.sa_family, host, text, INET6_ADDRSTRLEN));
	return text;
}

bool same_host(union address one, union address other)
{
	if (one.any.sa_family != other.any.sa_family)
		return false;
	if (one.any.sa_family == AF_INET6)
		return memcmp(&one.v6.sin6_addr, &other.v6.sin6_addr,
			      sizeof(one.v6.sin6_addr)) == 0 &&
		       one.v6.sin6_scope_id == other.v6.sin6_scope_id;
	return one.v4.sin_addr.s_addr == other.v4.sin_addr.s_addr;
}

bool same_address(union address one, union address other)
{
	return length_of(&one) == length_of(&other) &&
	       memcmp(&one, &other, length_of(&one)) == 0;
}

static union address name_of(int fd, int (*get)(int fd, struct sockaddr *name,
						socklen_t *length))
{
	union address address;
	socklen_t length = sizeof(address);

	memset(&address, 0xff, sizeof(address));
	OK(get(fd, &address.any, &length));
	EQ(address.any.sa_family, v6() ? AF_INET6 : AF_INET);
	EQ(length, length_of(&address));
	return address;
}

union address local_of(int fd)
{
	return name_of(fd, getsockname);
}

union address remote_of(int fd)
{
	return name_of(fd, getpeername);
}

int bind_to(int fd, const union address *address)
{
	return bind(fd, &address->any, length_of(address));
}

int connect_to(int fd, const union address *address)
{
	return connect(fd, &address->any, length_of(address));
}

int bound(int af, uint16_t port)
{
	union address address = loopback(port);
	int fd = make_socket_of(af, 0);

	OK(bind_to(fd, &address));
	return fd;
}

int listener_of(int af, int backlog, union address *address)
{
	int fd = bound(af, 0);

	OK(listen(fd, backlog));
	*address = local_of(fd);
	return fd;
}

int listener(int backlog, union address *address)
{
	return listener_of(family(), backlog, address);
}

int accept_one(int fd)
{
	return OK(accept(fd, NULL, NULL));
}

uint16_t unused_port(void)
{
	union address address;
	uint16_t port = 20000 + getpid() % 5000;
	int fd = make_socket_of(v6() ? AF_INET6 : AF_INET, 0);

	do {
		address = loopback(++port);
	} while (bind_to(fd, &address) < 0);
	close(fd);
	return port;
}

struct pair join_sockets(int server, int client, union address address)
{
	int accepted;

	OK(bind_to(server, &address));
	OK(listen(server, 1));
	address = local_of(server);
	OK(connect_to(client, &address));
	accepted = accept_one(server);
	close(server);
	return role_passive() ? (struct pair){ accepted, client } :
				(struct pair){ client, accepted };
}

struct pair make_pair_with(int sndbuf, int rcvbuf)
{
	bool passive = role_passive();
	int server = make_socket_of(passive ? family() : peer_family(), 0);
	int client = make_socket_of(passive ? peer_family() : family(), 0);

	if (sndbuf) {
		set_option(server, SOL_SOCKET, SO_SNDBUF, sndbuf);
		set_option(client, SOL_SOCKET, SO_SNDBUF, sndbuf);
	}
	if (rcvbuf) {
		set_option(server, SOL_SOCKET, SO_RCVBUF, rcvbuf);
		set_option(client, SOL_SOCKET, SO_RCVBUF, rcvbuf);
	}
	return join_sockets(server, client, loopback(0));
}

struct pair make_pair(void)
{
	return make_pair_with(0, 0);
}
