// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "smack.h"

#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/xattr.h>

void rule(const char *subject, const char *object, const char *access)
{
	char text[128];

	snprintf(text, sizeof(text), "%s %s %s", subject, object, access);
	write_file(SMACKFS "/load2", text);
}

/* Of these none may do anything to another when a case begins. */
static const char *const names[] = {
	"Client", "Server", "Talker", "Other", "Host", "_",
};

#define COUNT	(sizeof(names) / sizeof(*names))

void rules(const char *to_server, const char *to_client)
{
	rule("Client", "Server", to_server);
	rule("Server", "Client", to_client);
}

void become(const char *label)
{
	write_file("/proc/self/attr/current", label);
}

uint16_t port;

void world(uint16_t number)
{
	if (access(SMACKFS "/load2", F_OK))
		OK(mount("smackfs", SMACKFS, "smackfs", 0, NULL));
	own_world();
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t j = 0; j < COUNT; j++) {
			if (i != j)
				rule(names[i], names[j], "-");
		}
	}
	port = 4000 + 10 * number;
}

int socket_as(const char *label, int af)
{
	int fd;

	become(label);
	fd = make_socket_of(af, 0);
	set_option(fd, IPPROTO_TCP, TCP_SYNCNT, 1);
	return fd;
}

int server_at(const char *label, int af, const char *address)
{
	union address place = at(address, ++port);
	int fd = socket_as(label, af);

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(fd, &place));
	OK(listen(fd, 8));
	return fd;
}

int server_as(const char *label, int af)
{
	return server_at(label, af, here());
}

struct pair connect_as(const char *label, int af, int server)
{
	struct pair pair = { .fd = socket_as(label, af) };

	OK(try_connect(pair.fd, here(), port));
	pair.peer = accept_one(server);
	return pair;
}

void refused_as(const char *label, int error)
{
	int fd = socket_as(label, family());

	FAILS(try_connect(fd, here(), port), error);
	close(fd);
}

const struct ends all_ends[3] = {
	{ false, false },
	{ true, false },
	{ false, true },
};

int server_family(const struct ends *ends)
{
	return ends->other_server ? other_family() : family();
}

int client_family(const struct ends *ends)
{
	return ends->other_client ? other_family() : family();
}

void peer_label_is(int fd, const char *label)
{
	socklen_t length;
	char found[64];

	length = sizeof(found);
	OK(getsockopt(fd, SOL_SOCKET, SO_PEERSEC, found, &length));
	if (length != strlen(label) + 1 || strcmp(found, label))
		FAIL("the peer is \"%s\", not \"%s\"", found, label);
	length = strlen(label);
	FAILS(getsockopt(fd, SOL_SOCKET, SO_PEERSEC, found, &length), ERANGE);
	EQ(length, strlen(label) + 1);
}

void attribute_is(int fd, const char *name, const char *label)
{
	char found[64] = "";

	OK(fgetxattr(fd, name, found, sizeof(found) - 1));
	if (strcmp(found, label))
		FAIL("%s is \"%s\", not \"%s\"", name, found, label);
}
