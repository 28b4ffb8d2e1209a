// SPDX-License-Identifier: GPL-2.0
/* Which segments reach a socket: firewall, device, and the other family. */
#define _GNU_SOURCE
#include "harness.h"

#include <arpa/inet.h>

#define VOLUME	(1 << 20)

static void send_volume(void *argument)
{
	send_pattern(*(int *)argument, 0, VOLUME);
}

static void both_ways(struct pair *pair)
{
	pid_t child = start(send_volume, &pair->peer);

	recv_pattern(pair->fd, 0, VOLUME);
	finish(child);
	child = start(send_volume, &pair->fd);
	recv_pattern(pair->peer, 0, VOLUME);
	finish(child);
}

static void track(void)
{
	shell("nft 'add table ip t; "
	      "add chain ip t in { type filter hook input priority 0; policy drop; }; "
	      "add rule ip t in ct state new,established,related accept'");
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

int main(void)
{
	static const struct test_case cases[] = {
		CASE(tracked),
		CASE(tracked_over_link),
	};

	if (getuid() != 0)
		return 4;
	return RUN_CASES(cases);
}
