// SPDX-License-Identifier: GPL-2.0
/* Network namespaces, and links between them. */
#define _GNU_SOURCE
#include "devices.h"
#include "harness.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

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

void write_file(const char *path, const char *text)
{
	int fd = OK(open(path, O_WRONLY | O_CLOEXEC));

	EQ(write(fd, text, strlen(text)), strlen(text));
	OK(close(fd));
}

void write_setting(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	write_file(path, value);
}

void own_netns(void)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	/* Without programs, whose start takes an emulated guest a second. */
	OK(unshare(CLONE_NEWNET));
	fd = OK(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	OK(ioctl(fd, SIOCSIFFLAGS, &loopback));
	close(fd);
	/* Devices are of use at once, without a search for duplicates. */
	write_setting("ipv6/conf/default/accept_dad", "0");
	write_setting("ipv6/conf/default/router_solicitations", "0");
	write_setting("ipv6/conf/default/keep_addr_on_down", "1");
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
	write_setting("ipv4/tcp_orphan_retries", "3");
	/* The shell's programs are to inherit this one. */
	made = OK(open("/proc/self/ns/net", O_RDONLY));
	enter_netns(home);
	close(home);
	return made;
}

union address silent_host(void)
{
	own_netns();
	make_dummy("silent");
	add_address("silent", "10.9.0.1", 24);
	add_address("silent", "fd09::1", 64);
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

void change_link(const struct link *link, const char *netem)
{
	enter_netns(link->far);
	set_netem("far", netem);
	enter_netns(link->near);
	set_netem("near", netem);
}

static void set_up(const char *device, const char *v4_text, const char *v6_text)
{
	add_address(device, v4_text, 24);
	add_address(device, v6_text, 64);
	set_device_up(device);
}

struct link make_link(const char *netem)
{
	struct link link = { .near = new_netns(), .far = new_netns() };

	/*
	 * Ends with one number count as no pair, and IPv6 would learn only
	 * within a second that the link is up.
	 */
	enter_netns(link.near);
	make_veth("near", 11, "far", 12, link.far);
	set_up("near", NEAR, NEAR6);
	enter_netns(link.far);
	set_up("far", FAR, FAR6);
	enter_netns(link.near);
	/*
	 * The kernel's workers still have to do with a new link. Where no time
	 * passes while programs run they had no turn before a test sends, and
	 * a segment was held up until its timer expired.
	 */
	sleep_ms(20);
	if (netem)
		change_link(&link, netem);
	return link;
}

struct pair make_pair_over(const struct link *link)
{
	int fd, peer;

	enter_netns(link->far);
	peer = make_socket_of(peer_family(), 0);
	enter_netns(link->near);
	fd = make_socket(0);
	return role_passive() ? join_sockets(fd, peer, near_address(0)) :
				join_sockets(peer, fd, far_address(0));
}
