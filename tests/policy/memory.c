// SPDX-License-Identifier: GPL-2.0
/* Whom the memory of sockets is charged to. */
#define _GNU_SOURCE
#include "bpf.h"
#include "policy.h"

#include <stdio.h>
#include <string.h>

static struct group group;

static void world(void)
{
	own_world();
	shell("echo +memory >/sys/fs/cgroup/cgroup.subtree_control");
	group = make_group();
}

/* Bytes of sockets in the group. */
static long charged(void)
{
	char *text = output_of("grep -w ^sock %s/memory.stat", group.path);
	long bytes = atol(text + strlen("sock "));

	free(text);
	return bytes;
}

static void await_charge(long low, long high)
{
	for (int i = 0; i < 100; i++) {
		if (charged() >= low && charged() <= high)
			return;
		sleep_ms(100);
	}
	BETWEEN(charged(), low, high);
}

static struct pair big_pair(int server)
{
	struct pair pair = connected(server, here(), PORT);

	set_option(pair.fd, SOL_SOCKET, SO_SNDBUF, 1 << 19);
	set_option(pair.peer, SOL_SOCKET, SO_RCVBUF, 1 << 19);
	return pair;
}

/* What is sent and not read is charged to who made the sockets. */
static void charged_to_maker(void)
{
	struct pair pair;
	size_t sum;
	int server;

	world();
	join_group(&group);
	server = serve(PORT);
	pair = big_pair(server);
	sum = fill(pair.fd);
	CHECK(sum > 200000);
	await_charge(sum, 4 * sum);
	close_pair(pair);
	close(server);
	await_charge(0, 65536);
	leave_group();
	remove_group(&group);
}

/* What came before accept() is charged to who accepts. */
static void charged_to_accepter(void)
{
	struct pair pair;
	size_t sum;
	int server;

	world();
	server = serve(PORT);
	set_option(server, SOL_SOCKET, SO_RCVBUF, 1 << 19);
	pair.fd = open_to(here(), PORT);
	sum = fill(pair.fd);
	CHECK(sum > 200000);
	EQ(charged(), 0);
	join_group(&group);
	pair.peer = accept_one(server);
	leave_group();
	await_charge(100000, 4 * sum);
	/* What comes later, too. */
	close_pair(pair);
	await_charge(0, 65536);
	remove_group(&group);
}

/* Bytes that the socket has for what is to come. */
static unsigned int in_reserve(int fd)
{
	unsigned int info[9];
	socklen_t length = sizeof(info);

	OK(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length));
	return info[4];
}

/* SO_RESERVE_MEM: the socket's, and so its maker's, whether it uses it or not. */
static void reserved(void)
{
	const int sum = 1 << 18;
	struct pair pair;
	int server;

	world();
	server = serve(PORT);
	join_group(&group);
	pair = connected(server, here(), PORT);
	leave_group();
	CHECK(in_reserve(pair.fd) < (unsigned int)sum);
	set_option(pair.fd, SOL_SOCKET, SO_RESERVE_MEM, sum);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_RESERVE_MEM), sum);
	CHECK(in_reserve(pair.fd) >= (unsigned int)sum);
	await_charge(sum, 2 * sum);
	/* What goes through the socket takes none of it away. */
	works(pair);
	CHECK(in_reserve(pair.fd) >= (unsigned int)sum);
	set_option(pair.fd, SOL_SOCKET, SO_RESERVE_MEM, 0);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_RESERVE_MEM), 0);
	await_charge(0, sum / 2);
	close_pair(pair);
	close(server);
	remove_group(&group);
}

/* Without a group it is refused. */
static void reserved_for_nobody(void)
{
	int fd = make_socket(0);
	int bytes = 4096;

	FAILS(setsockopt(fd, SOL_SOCKET, SO_RESERVE_MEM, &bytes, 4),
	      EOPNOTSUPP);
}

#define PAIRS	8

/* Pages of all TCP sockets of the machine. */
static long pages_of_all(void)
{
	char *text = output_of("grep ^TCP: /proc/net/sockstat");
	long pages = atol(strstr(text, " mem ") + strlen(" mem "));

	free(text);
	return pages;
}

/* One counter, and so one bound (tcp_mem), for Linux's TCP and ours together. */
static void counted_for_all(void)
{
	struct pair pairs[PAIRS];
	size_t sum = 0;
	long pages;
	int server;

	own_world();
	server = serve(PORT);
	pages = pages_of_all();
	for (int i = 0; i < PAIRS; i++) {
		pairs[i] = big_pair(server);
		sum += fill(pairs[i].fd);
	}
	/* But for what each processor has in reserve. */
	CHECK(pages_of_all() >= pages + (long)(sum / 4096) - 512);
	for (int i = 0; i < PAIRS; i++)
		close_pair(pairs[i]);
	sleep_ms(100);
	CHECK(pages_of_all() <= pages + 512);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(charged_to_maker),	CASE(charged_to_accepter),
		CASE(counted_for_all),	CASE(reserved),
		CASE(reserved_for_nobody),
	};

	if (getuid() != 0)
		return 4;
	return RUN_CASES(cases);
}
