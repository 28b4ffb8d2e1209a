// SPDX-License-Identifier: GPL-2.0
/* Network namespaces, and links between them. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>

void shell(const char *format, ...)
{
	va_list arguments;
	char command[4096];
	int length;

	va_start(arguments, format);
	length = vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	CHECK(length > 0 && (size_t)length < sizeof(command));
	fflush(stdout);
	if (system(command) != 0)
		FAIL("failed: %s", command);
}

void own_netns(void)
{
	OK(unshare(CLONE_NEWNET));
	shell("ip link set lo up");
	/* Devices are of use at once, without a search for duplicates. */
	shell("cd /proc/sys/net/ipv6/conf/default && echo 0 >accept_dad && echo 0 >router_solicitations && echo 1 >keep_addr_on_down");
}

int new_netns(void)
{
	int home = OK(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
	int made;

	own_netns();
	/*
	 * An end whose peer's namespace went first, with the link and the last
	 * ACK, would hold the module for two minutes.
	 */
	shell("echo 3 > /proc/sys/net/ipv4/tcp_orphan_retries");
	/* The shell's programs are to inherit this one. */
	made = OK(open("/proc/self/ns/net", O_RDONLY));
	enter_netns(home);
	close(home);
	return made;
}

union address silent_host(void)
{
	own_netns();
	shell("ip link add silent type dummy && ip link set silent up");
	shell("ip addr add 10.9.0.1/24 dev silent");
	shell("ip addr add fd09::1/64 dev silent nodad");
	return numeric("10.9.0.2", "fd09::2", 7);
}

union address silent_source(uint16_t port)
{
	return numeric("10.9.0.1", "fd09::1", port);
}

union address near_address(uint16_t port)
{
	return numeric(NEAR, NEAR6, port);
}

union address far_address(uint16_t port)
{
	return numeric(FAR, FAR6, port);
}

void enter_netns(int netns)
{
	OK(setns(netns, CLONE_NEWNET));
}

static void set_netem(const char *device, const char *netem)
{
	shell("tc qdisc replace dev %s root netem %s", device,
	      netem);
}

void change_link(const struct link *link, const char *netem)
{
	enter_netns(link->far);
	set_netem("far", netem);
	enter_netns(link->near);
	set_netem("near", netem);
}

static void set_up(const char *device, const char *v4_text, const char *v6_text)
{
	shell("ip addr add %s/24 dev %s && ip addr add %s/64 dev %s nodad && ip link set %s up",
	      v4_text, device, v6_text, device, device);
}

struct link make_link(const char *netem)
{
	struct link link = { .near = new_netns(), .far = new_netns() };

	enter_netns(link.near);
	/*
	 * Ends with one number count as no pair, and IPv6 would learn only
	 * within a second that the link is up.
	 */
	shell("ip link add near index 11 type veth peer name far index 12 netns /proc/self/fd/%d",
	      link.far);
	set_up("near", NEAR, NEAR6);
	enter_netns(link.far);
	set_up("far", FAR, FAR6);
	enter_netns(link.near);
	if (netem)
		change_link(&link, netem);
	return link;
}

struct pair make_pair_over(const struct link *link)
{
	bool passive = role_passive();
	union address address = passive ? near_address(0) : far_address(0);
	int server, client, accepted;

	enter_netns(link->far);
	if (passive)
		client = make_socket_of(peer_family(), 0);
	else
		server = make_socket_of(peer_family(), 0);
	enter_netns(link->near);
	if (passive)
		server = make_socket(0);
	else
		client = make_socket(0);
	OK(bind_to(server, &address));
	OK(listen(server, 1));
	address = local_of(server);
	OK(connect_to(client, &address));
	accepted = accept_one(server);
	close(server);
	return passive ? (struct pair){ accepted, client } :
			 (struct pair){ client, accepted };
}
