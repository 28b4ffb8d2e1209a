// SPDX-License-Identifier: GPL-2.0
/* Virtual routers, bridges, and devices that move. */
#define _GNU_SOURCE
#include "policy.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

static void bind_device(int fd, const char *device)
{
	OK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
		      strlen(device) + 1));
}

/* Two links of the same addresses, each in a virtual router of its own. */
struct virtual_routers {
	int home;
	int away[2];
};

static struct virtual_routers make_virtual_routers(void)
{
	struct virtual_routers made;
	const char *near_net = v6() ? "fd01::1/64 nodad" : "10.1.0.1/24";
	const char *far_net = v6() ? "fd01::2/64 nodad" : "10.1.0.2/24";

	made.home = new_netns();
	for (int i = 0; i < 2; i++)
		made.away[i] = new_netns();
	for (int i = 0; i < 2; i++) {
		enter_netns(made.home);
		shell("ip link add red%d type vrf table %d && "
		      "ip link set red%d up", i, i + 10, i);
		shell("ip link add near%d type veth peer name far "
		      "netns /proc/self/fd/%d", i, made.away[i]);
		shell("ip link set near%d master red%d && "
		      "ip addr add %s dev near%d && ip link set near%d up", i,
		      i, near_net, i, i);
		enter_netns(made.away[i]);
		shell("ip addr add %s dev far && ip link set far up", far_net);
	}
	enter_netns(made.home);
	return made;
}

static char *device_of(int fd)
{
	char *name = calloc(1, IFNAMSIZ);
	socklen_t length = IFNAMSIZ;

	OK(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length));
	return name;
}

static void virtual_router_connects(void)
{
	struct virtual_routers vrf = make_virtual_routers();
	struct pair pairs[2];
	int servers[2];

	for (int i = 0; i < 2; i++) {
		enter_netns(vrf.away[i]);
		servers[i] = serve(PORT);
	}
	enter_netns(vrf.home);
	refused(far(), PORT, ENETUNREACH);
	for (int i = 0; i < 2; i++) {
		char name[16];
		int fd = impatient();

		snprintf(name, sizeof(name), "red%d", i);
		bind_device(fd, name);
		OK(try_connect(fd, far(), PORT));
		pairs[i] = (struct pair){ fd, accept_one(servers[i]) };
	}
	for (int i = 0; i < 2; i++)
		works(pairs[i]);
}

static void virtual_router_listens(void)
{
	struct virtual_routers vrf = make_virtual_routers();
	struct pair pairs[2];
	int servers[2];

	for (int i = 0; i < 2; i++) {
		union address place = at(v6() ? "::" : "0.0.0.0", PORT);
		char name[16];

		snprintf(name, sizeof(name), "red%d", i);
		servers[i] = make_socket(0);
		bind_device(servers[i], name);
		OK(bind_to(servers[i], &place));
		OK(listen(servers[i], 1));
	}
	for (int i = 0; i < 2; i++) {
		enter_netns(vrf.away[i]);
		pairs[i] = connected(servers[i], near(), PORT);
		CHECK(device_of(pairs[i].peer)[3] == '0' + i);
	}
	for (int i = 0; i < 2; i++)
		works(pairs[i]);
	/* Ends orderly, with TIME-WAIT on the side in the virtual router. */
	for (int i = 0; i < 2; i++) {
		OK(shutdown(pairs[i].peer, SHUT_WR));
		expect_end(pairs[i].fd);
		close(pairs[i].fd);
		expect_end(pairs[i].peer);
		close(pairs[i].peer);
	}
}

/* tcp_l3mdev_accept: one listener for all, its connections each in theirs. */
static void one_for_all_routers(void)
{
	struct virtual_routers vrf = make_virtual_routers();
	struct pair pairs[2];
	int server = serve(PORT);

	enter_netns(vrf.away[0]);
	refused(near(), PORT, ECONNREFUSED);
	enter_netns(vrf.home);
	write_setting("ipv4/tcp_l3mdev_accept", "1");
	for (int i = 0; i < 2; i++) {
		char *name;

		enter_netns(vrf.away[i]);
		pairs[i] = connected(server, near(), PORT);
		name = device_of(pairs[i].peer);
		CHECK(strncmp(name, "red", 3) == 0 && name[3] == '0' + i);
	}
	for (int i = 0; i < 2; i++)
		works(pairs[i]);
	/* Cookies come back into the same router. */
	enter_netns(vrf.home);
	write_setting("ipv4/tcp_syncookies", "2");
	for (int i = 0; i < 2; i++) {
		enter_netns(vrf.away[i]);
		pairs[i] = connected(server, near(), PORT);
		CHECK(device_of(pairs[i].peer)[3] == '0' + i);
		works(pairs[i]);
	}
}

/* The same addresses and ports in two virtual routers are two connections. */
static void same_names_in_two_routers(void)
{
	struct virtual_routers vrf = make_virtual_routers();
	struct pair pairs[2];
	int server = serve(PORT);

	write_setting("ipv4/tcp_l3mdev_accept", "1");
	for (int i = 0; i < 2; i++) {
		int fd;

		enter_netns(vrf.away[i]);
		fd = bound_to(far(), 5555);
		OK(try_connect(fd, near(), PORT));
		pairs[i] = (struct pair){ fd, accept_one(server) };
	}
	for (int i = 0; i < 2; i++)
		works(pairs[i]);
}

/* A segment of a router's that is none of the connection's. */
static void routers_are_apart(void)
{
	struct virtual_routers vrf = make_virtual_routers();
	struct pair pair;
	int server = serve(PORT);
	int fd;

	write_setting("ipv4/tcp_l3mdev_accept", "1");
	enter_netns(vrf.away[0]);
	fd = bound_to(far(), 5555);
	OK(try_connect(fd, near(), PORT));
	pair = (struct pair){ fd, accept_one(server) };
	close(server);
	/* The port is closed in the other router. */
	enter_netns(vrf.away[1]);
	fd = bound_to(far(), 5555);
	FAILS(try_connect(fd, near(), PORT), ECONNREFUSED);
	works(pair);
}

/* Over a bridge, filtered as any device. */
static void bridged(void)
{
	int home = new_netns();
	int hosts[2] = { new_netns(), new_netns() };
	struct pair pair;
	int server;

	enter_netns(home);
	shell("ip link add middle type bridge && ip link set middle up");
	for (int i = 0; i < 2; i++) {
		enter_netns(home);
		shell("ip link add port%d type veth peer name host "
		      "netns /proc/self/fd/%d && ip link set port%d master middle up",
		      i, hosts[i], i);
		enter_netns(hosts[i]);
		shell("ip link set host up && ip addr add %s dev host",
		      v6() ? (i ? "fd01::2/64 nodad" : "fd01::1/64 nodad") :
			      (i ? "10.1.0.2/24" : "10.1.0.1/24"));
	}
	enter_netns(hosts[1]);
	server = serve(PORT);
	enter_netns(hosts[0]);
	pair = connected(server, far(), PORT);
	works(pair);
	enter_netns(home);
	shell("ip link set port1 nomaster");
	stuck(pair.fd, pair.peer);
	shell("ip link set port1 master middle");
	unstuck(pair.peer);
}

/* A device that goes to another namespace, and comes back. */
static void device_moves(void)
{
	struct link link;
	int elsewhere = new_netns();
	struct pair pair;
	int server;

	link = make_served_link(&server);
	pair = connected(server, far(), PORT);
	works(pair);
	enter_netns(link.far);
	shell("ip link set far netns /proc/self/fd/%d", elsewhere);
	stuck(pair.fd, pair.peer);
	stuck(pair.peer, pair.fd);
	enter_netns(elsewhere);
	/* There is no such connection there. */
	shell("ip addr add %s dev far && ip link set far up",
	      v6() ? "fd01::2/64 nodad" : "10.1.0.2/24");
	enter_netns(link.near);
	shell("ip neigh flush dev near");
	refused(far(), PORT, ECONNREFUSED);
	enter_netns(elsewhere);
	shell("ip link set far netns /proc/self/fd/%d", link.far);
	linger_zero(pair.fd);
	linger_zero(pair.peer);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(virtual_router_connects), CASE(virtual_router_listens),
		CASE(one_for_all_routers), CASE(same_names_in_two_routers),
		CASE(routers_are_apart), CASE(bridged),
		CASE(device_moves),
	};

	if (getuid() != 0)
		return 4;
	return RUN_CASES(cases);
}
