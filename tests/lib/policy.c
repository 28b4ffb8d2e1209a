// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "policy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *here(void)
{
	return v6() ? "::1" : "127.0.0.1";
}

const char *near(void)
{
	return v6() ? NEAR6 : NEAR;
}

const char *far(void)
{
	return v6() ? FAR6 : FAR;
}

const char *ip_word(void)
{
	return v6() ? "ip6" : "ip";
}

union address at(const char *address, uint16_t port)
{
	return numeric(address, address, port);
}

void own_world(void)
{
	own_netns();
	write_setting("ipv4/tcp_orphan_retries", "3");
}

struct link make_served_link(int *server)
{
	struct link link = make_link(NULL);

	enter_netns(link.far);
	*server = serve(PORT);
	enter_netns(link.near);
	return link;
}

int serve_at(const char *address, uint16_t port)
{
	union address place = at(address, port);
	int fd = make_socket(0);

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(fd, &place));
	OK(listen(fd, 8));
	return fd;
}

int serve(uint16_t port)
{
	return serve_at(v6() ? "::" : "0.0.0.0", port);
}

int try_connect(int fd, const char *address, uint16_t port)
{
	union address place = at(address, port);

	return connect_to(fd, &place);
}

int open_to(const char *address, uint16_t port)
{
	int fd = impatient();

	OK(try_connect(fd, address, port));
	return fd;
}

int impatient(void)
{
	int fd = make_socket(0);

	set_option(fd, IPPROTO_TCP, TCP_SYNCNT, 1);
	return fd;
}

void refused(const char *address, uint16_t port, int error)
{
	int fd = impatient();

	FAILS(try_connect(fd, address, port), error);
	close(fd);
}

void unanswered(const char *address, uint16_t port)
{
	refused(address, port, ETIMEDOUT);
}

struct pair connected(int server, const char *address, uint16_t port)
{
	int fd = open_to(address, port);
	struct pair pair = { fd, accept_one(server) };

	return pair;
}

void works(struct pair pair)
{
	send_pattern(pair.fd, 0, 5000);
	recv_pattern(pair.peer, 0, 5000);
	send_pattern(pair.peer, 7, 5000);
	recv_pattern(pair.fd, 7, 5000);
}

void stuck(int from, int to)
{
	send_all(from, "x", 1);
	EQ_BITS(poll_for(to, POLLIN, 1500), 0);
}

void unstuck(int to)
{
	char byte;

	EQ_BITS(poll_for(to, POLLIN, 20000), POLLIN);
	recv_all(to, &byte, 1);
}

void close_pair(struct pair pair)
{
	linger_zero(pair.fd);
	linger_zero(pair.peer);
	close(pair.fd);
	close(pair.peer);
}

char *output_of(const char *format, ...)
{
	va_list arguments;
	char command[4096];
	size_t size = 65536, used = 0, got;
	char *text = malloc(size);
	FILE *pipe;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	CHECK(text);
	pipe = popen(command, "r");
	CHECK(pipe);
	while ((got = fread(text + used, 1, size - 1 - used, pipe)))
		used += got;
	text[used] = 0;
	if (pclose(pipe) != 0)
		FAIL("failed: %s", command);
	return text;
}

long count_of(const char *counter)
{
	char *text = output_of("nft list counter inet t %s", counter);
	const char *packets = strstr(text, "packets ");
	long value;

	CHECK(packets);
	value = atol(packets + strlen("packets "));
	free(text);
	return value;
}

void nft(const char *format, ...)
{
	va_list arguments;
	char rule[2048];

	va_start(arguments, format);
	vsnprintf(rule, sizeof(rule), format, arguments);
	va_end(arguments);
	shell("%s '%s'", "nft", rule);
}

void nft_table(void)
{
	nft("add table inet t; "
	    "add chain inet t pre { type filter hook prerouting priority -150; }; "
	    "add chain inet t in { type filter hook input priority 0; }; "
	    "add chain inet t out { type filter hook output priority 0; }; "
	    "add chain inet t post { type filter hook postrouting priority 0; }");
}

int bound_to(const char *address, uint16_t port)
{
	union address place = at(address, port);
	int fd = impatient();

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(fd, &place));
	return fd;
}
