// SPDX-License-Identifier: GPL-2.0
/* Which segments reach a socket: firewall, device, and the other family. */
#define _GNU_SOURCE
#include "devices.h"
#include "harness.h"

static void send_volume(void *argument)
{
	send_pattern(*(int *)argument, 0, fewer(1 << 20));
}

static void both_ways(struct pair *pair)
{
	pid_t child = start(send_volume, &pair->peer);

	recv_pattern(pair->fd, 0, fewer(1 << 20));
	finish(child);
	child = start(send_volume, &pair->fd);
	recv_pattern(pair->peer, 0, fewer(1 << 20));
	finish(child);
}

static void track(void)
{
	/* Neighbours are found by messages that are not tracked. */
	shell("nft 'add table %1$s t; "
	      "add chain %1$s t in { type filter hook input priority 0; policy drop; }; "
	      "add rule %1$s t in meta l4proto icmpv6 accept; "
	      "add rule %1$s t in ct state new,established,related accept'",
	      v6() ? "ip6" : "ip");
}

/* Connection tracking sees each packet, and only the first confirms. */
static void tracked(void)
{
	struct pair pair;

	own_netns();
	track();
	pair = make_pair();
	both_ways(&pair);
}

static void tracked_over_link(void)
{
	struct link link = make_link(NULL);
	struct pair pair;

	track();
	enter_netns(link.far);
	track();
	enter_netns(link.near);
	pair = make_pair_over(&link);
	both_ways(&pair);
}

/* A listener that is bound to a device hears no other. */
static void device(void)
{
	struct link link = make_link(NULL);
	union address address = near_address(8080);
	int server, client;

	make_dummy("idle");
	server = make_socket(0);
	OK(bind_to(server, &address));
	OK(setsockopt(server, SOL_SOCKET, SO_BINDTODEVICE, "idle", 5));
	OK(listen(server, 1));
	enter_netns(link.far);
	client = make_socket_of(peer_family(), 0);
	FAILS(connect_to(client, &address), ECONNREFUSED);
	OK(setsockopt(server, SOL_SOCKET, SO_BINDTODEVICE, "near", 5));
	OK(connect_to(client, &address));
	accept_one(server);
}

static int reusing(int af, const union address *address, bool *done)
{
	int fd = make_socket_of(af, 0);

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	*done = bind_to(fd, address) == 0 && listen(fd, 1) == 0;
	CHECK(*done || errno == EADDRINUSE);
	return fd;
}

/* Only one of the families listens at a port, even where both allow reuse. */
static void one_listener(void)
{
	union address address = loopback(unused_port());
	int first, second;
	bool done;

	first = reusing(family(), &address, &done);
	CHECK(done);
	second = reusing(other_family(), &address, &done);
	CHECK(!done);
	close(second);
	close(first);
	second = reusing(other_family(), &address, &done);
	CHECK(done);
	first = reusing(family(), &address, &done);
	CHECK(!done);
}

/* Beyond tcp_max_tw_buckets a connection just ends, and its port is free. */
static void time_waits(void)
{
	int in_use = 0;

	own_netns();
	write_setting("ipv4/tcp_max_tw_buckets", "2");
	for (int i = 0; i < 5; i++) {
		struct pair pair = make_pair();
		union address address = local_of(pair.fd);
		int fd = make_socket(0);

		OK(shutdown(pair.fd, SHUT_WR));
		expect_end(pair.peer);
		close(pair.peer);
		expect_end(pair.fd);
		close(pair.fd);
		sleep_ms(20);
		if (bind_to(fd, &address)) {
			CHECK(errno == EADDRINUSE);
			in_use++;
		}
	}
	EQ(in_use, 2);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(tracked),
		CASE(tracked_over_link),
		CASE(device),
		CASE(one_listener),
		CASE(time_waits),
	};

	if (getuid() != 0)
		return 4;
	return RUN_CASES(cases);
}
