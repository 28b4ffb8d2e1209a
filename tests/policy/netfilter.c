// SPDX-License-Identifier: GPL-2.0
/* What nft's rules do to connections. */
#define _GNU_SOURCE
#include "bpf.h"
#include "policy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/stat.h>

static void table(void)
{
	own_world();
	nft_table();
}

static void drop_at(const char *chain)
{
	int server;

	table();
	server = serve(PORT);
	nft("add counter inet t c; "
	    "add rule inet t %s tcp dport %d counter name c drop", chain, PORT);
	unanswered(here(), PORT);
	/* The SYN and its repetitions. */
	EQ(count_of("c"), 3);
	nft("flush chain inet t %s", chain);
	works(connected(server, here(), PORT));
}

static void drop_in(void)
{
	drop_at("in");
}

/* As Linux: the send fails with EPERM, which is as a loss. */
static void drop_out(void)
{
	drop_at("out");
}

/* Only the answer is stopped. */
static void drop_syn_ack(void)
{
	int server;

	table();
	server = serve(PORT);
	nft("add counter inet t c; add rule inet t out "
	    "tcp sport %d tcp flags & (syn | ack) == syn | ack "
	    "counter name c drop", PORT);
	unanswered(here(), PORT);
	CHECK(count_of("c") >= 2);
	nft("flush chain inet t out");
	works(connected(server, here(), PORT));
}

static void drop_third_ack(void)
{
	struct pair pair;
	int server;

	table();
	server = serve(PORT);
	set_nonblocking(server, true);
	nft("add rule inet t in tcp dport %d tcp flags & (syn | ack) == ack drop",
	    PORT);
	pair.fd = open_to(here(), PORT);
	EQ_BITS(poll_for(server, POLLIN, 500), 0);
	FAILS(accept(server, NULL, NULL), EAGAIN);
	nft("flush chain inet t in");
	/* The SYN-ACK's repetition brings the ACK again. */
	EQ_BITS(poll_for(server, POLLIN, 5000), POLLIN);
	pair.peer = accept_one(server);
	works(pair);
}

static void reject_with_reset(void)
{
	table();
	serve(PORT);
	nft("add rule inet t in tcp dport %d reject with tcp reset", PORT);
	refused(here(), PORT, ECONNREFUSED);
	nft("flush chain inet t in");
	nft("add rule inet t out tcp dport %d reject with tcp reset", PORT);
	refused(here(), PORT, ECONNREFUSED);
}

static void reject_with_icmp(void)
{
	table();
	serve(PORT);
	nft("add rule inet t in tcp dport %d reject with icmpx port-unreachable",
	    PORT);
	refused(here(), PORT, ECONNREFUSED);
	nft("flush chain inet t in");
	nft("add rule inet t in tcp dport %d reject with icmpx admin-prohibited",
	    PORT);
	refused(here(), PORT, v6() ? EACCES : EHOSTUNREACH);
	nft("flush chain inet t in");
	nft("add rule inet t in tcp dport %d reject with icmpx no-route", PORT);
	refused(here(), PORT, ENETUNREACH);
}

/* Over a link the error comes from another host. */
static void reject_from_afar(void)
{
	struct link link = make_link(NULL);

	enter_netns(link.far);
	nft_table();
	serve(PORT);
	nft("add rule inet t in tcp dport %d reject with icmpx host-unreachable",
	    PORT);
	enter_netns(link.near);
	refused(far(), PORT, EHOSTUNREACH);
}

static void reset_established(void)
{
	struct pair pair;
	char byte;

	table();
	pair = connected(serve(PORT), here(), PORT);
	works(pair);
	nft("add rule inet t in tcp dport %d reject with tcp reset", PORT);
	send_all(pair.fd, "x", 1);
	FAILS(recv(pair.fd, &byte, 1, 0), ECONNRESET);
}

static void icmp_spares_established(void)
{
	struct pair pair;
	char byte;

	table();
	pair = connected(serve(PORT), here(), PORT);
	nft("add rule inet t in tcp dport %d reject with icmpx port-unreachable",
	    PORT);
	stuck(pair.fd, pair.peer);
	FAILS(recv(pair.fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	nft("flush chain inet t in");
	unstuck(pair.peer);
}

static void drop_established(void)
{
	struct pair pair;
	char byte;

	table();
	pair = connected(serve(PORT), here(), PORT);
	works(pair);
	nft("add rule inet t out tcp dport %d drop", PORT);
	stuck(pair.fd, pair.peer);
	nft("flush chain inet t out");
	unstuck(pair.peer);
	works(pair);
	nft("add rule inet t in tcp dport %d drop", PORT);
	stuck(pair.fd, pair.peer);
	set_option(pair.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 3000);
	FAILS(recv(pair.fd, &byte, 1, 0), ETIMEDOUT);
}

/* The user is the one that made the socket; a child's is its listener's. */
static void by_user(void)
{
	int server;

	table();
	OK(seteuid(1000));
	server = serve(PORT);
	OK(seteuid(0));
	nft("add counter inet t c; add rule inet t out "
	    "meta skuid 1000 counter name c drop");
	/* No SYN-ACK. */
	unanswered(here(), PORT);
	CHECK(count_of("c") > 0);
	close(server);
	nft("flush chain inet t out; reset counter inet t c");
	serve(PORT);
	nft("add rule inet t out meta skuid 1000 counter name c drop");
	close(open_to(here(), PORT));
	EQ(count_of("c"), 0);
	OK(seteuid(1000));
	unanswered(here(), PORT);
	OK(seteuid(0));
	EQ(count_of("c"), 3);
}

static void by_user_of_child(void)
{
	struct pair pair;

	table();
	OK(seteuid(1000));
	pair = connected(serve(PORT), here(), PORT);
	OK(seteuid(0));
	/* Whoever accepts, the connection is the listener's user's. */
	nft("add rule inet t out tcp sport %d meta skuid != 1000 drop", PORT);
	works(pair);
	nft("flush chain inet t out; "
	    "add rule inet t out tcp sport %d meta skuid 1000 drop", PORT);
	stuck(pair.peer, pair.fd);
}

static void by_mark(void)
{
	struct pair pair;
	int server, fd;

	table();
	server = serve(PORT);
	nft("add rule inet t out meta mark 42 drop");
	fd = impatient();
	set_option(fd, SOL_SOCKET, SO_MARK, 42);
	FAILS(try_connect(fd, here(), PORT), ETIMEDOUT);
	pair = connected(server, here(), PORT);
	works(pair);
	set_option(pair.fd, SOL_SOCKET, SO_MARK, 42);
	stuck(pair.fd, pair.peer);
	set_option(pair.fd, SOL_SOCKET, SO_MARK, 0);
	unstuck(pair.peer);
	/* A listener's mark is that of its answers and its children's. */
	set_option(server, SOL_SOCKET, SO_MARK, 42);
	unanswered(here(), PORT);
	nft("flush chain inet t out");
	pair = connected(server, here(), PORT);
	EQ(get_option(pair.peer, SOL_SOCKET, SO_MARK), 42);
	nft("add rule inet t out meta mark 42 drop");
	stuck(pair.peer, pair.fd);
}

static void by_cgroup(void)
{
	struct group group;
	int server;

	table();
	group = make_group();
	nft("add rule inet t out socket cgroupv2 level 1 \"%s\" drop",
	    strrchr(group.path, '/') + 1);
	server = serve(PORT);
	works(connected(server, here(), PORT));
	join_group(&group);
	unanswered(here(), PORT);
	leave_group();
	works(connected(server, here(), PORT));
	remove_group(&group);
}

/* All segments of whole connections belong to tracked ones. */
static void tracked(void)
{
	struct pair pair;
	char byte;
	int server;

	table();
	nft("add counter inet t invalid; add counter inet t fresh; "
	    "add counter inet t known; "
	    "add rule inet t in ct state invalid counter name invalid drop; "
	    "add rule inet t in ct state new counter name fresh; "
	    "add rule inet t in ct state established counter name known; "
	    "add rule inet t out ct state invalid counter name invalid drop");
	server = serve(PORT);
	for (int i = 0; i < 3; i++) {
		pair = connected(server, here(), PORT);
		works(pair);
		OK(shutdown(pair.fd, SHUT_WR));
		expect_end(pair.peer);
		close(pair.peer);
		expect_end(pair.fd);
		close(pair.fd);
	}
	pair = connected(server, here(), PORT);
	linger_zero(pair.fd);
	close(pair.fd);
	FAILS(recv(pair.peer, &byte, 1, 0), ECONNRESET);
	EQ(count_of("invalid"), 0);
	EQ(count_of("fresh"), 4);
	CHECK(count_of("known") > 20);
}

/* A stateful firewall lets in only what answers. */
static void stateful(void)
{
	struct link link = make_link(NULL);
	struct pair pair;
	int server;

	nft_table();
	serve(PORT);
	nft("add rule inet t in ct state established,related accept; "
	    "add rule inet t in tcp dport 1-65535 drop");
	enter_netns(link.far);
	server = serve(PORT2);
	unanswered(near(), PORT);
	enter_netns(link.near);
	pair = connected(server, far(), PORT2);
	works(pair);
	enter_netns(link.far);
	nft_table();
	nft("add rule inet t in tcp dport %d reject with icmpx port-unreachable",
	    PORT);
	enter_netns(link.near);
	/* An error that is related to the SYN passes. */
	nft("add counter inet t c; insert rule inet t in "
	    "meta l4proto { icmp, ipv6-icmp } ct state related counter name c");
	refused(far(), PORT, ECONNREFUSED);
	CHECK(count_of("c") > 0);
}

static union address original_destination(int fd)
{
	union address place;
	socklen_t length = sizeof(place);

	OK(getsockopt(fd, v6() ? IPPROTO_IPV6 : IPPROTO_IP, SO_ORIGINAL_DST,
		      &place, &length));
	return place;
}

static void redirected(void)
{
	union address place;
	struct pair pair;
	int server;

	table();
	server = serve(PORT);
	nft("add chain inet t nat { type nat hook output priority -100; }; "
	    "add rule inet t nat tcp dport %d redirect to :%d", PORT2, PORT);
	pair = connected(server, here(), PORT2);
	works(pair);
	place = local_of(pair.peer);
	EQ(port_of(place), PORT);
	place = remote_of(pair.fd);
	EQ(port_of(place), PORT2);
	place = original_destination(pair.peer);
	EQ(port_of(place), PORT2);
	CHECK(strcmp(host_text(place), here()) == 0);
	place = original_destination(pair.fd);
	EQ(port_of(place), PORT2);
	close_pair(pair);
	/* What nothing translated was meant for where it went. */
	pair = connected(server, here(), PORT);
	place = original_destination(pair.peer);
	EQ(port_of(place), PORT);
	CHECK(strcmp(host_text(place), here()) == 0);
}

static void destination_nat(void)
{
	struct link link = make_link(NULL);
	union address place;
	struct pair pair;
	int server;

	enter_netns(link.far);
	nft_table();
	nft("add chain inet t nat { type nat hook prerouting priority -100; }; "
	    "add rule inet t nat tcp dport %d dnat %s to %s:%d", PORT2,
	    ip_word(), !v6() ? far() : "[fd01::2]", PORT);
	server = serve(PORT);
	enter_netns(link.near);
	pair = connected(server, far(), PORT2);
	works(pair);
	place = original_destination(pair.peer);
	EQ(port_of(place), PORT2);
	CHECK(strcmp(host_text(place), far()) == 0);
}

static void masqueraded(void)
{
	const char *other = !v6() ? "10.7.7.7" : "fd00:7::7";
	union address place;
	struct pair pair;
	int server, fd;

	make_served_link(&server);
	shell("ip addr add %s dev lo", other);
	nft_table();
	nft("add chain inet t nat { type nat hook postrouting priority 100; }; "
	    "add rule inet t nat %s saddr %s masquerade", ip_word(), other);
	fd = impatient();
	place = at(other, 0);
	OK(bind_to(fd, &place));
	OK(try_connect(fd, far(), PORT));
	pair = (struct pair){ fd, accept_one(server) };
	works(pair);
	place = remote_of(pair.peer);
	CHECK(strcmp(host_text(place), near()) == 0);
	place = local_of(pair.fd);
	CHECK(strcmp(host_text(place), other) == 0);
}

static void source_nat_of_ports(void)
{
	union address place;
	struct pair pair;
	int server;

	make_served_link(&server);
	nft_table();
	nft("add chain inet t nat { type nat hook postrouting priority 100; }; "
	    "add rule inet t nat tcp dport %d masquerade to :7000-7000", PORT);
	pair = connected(server, far(), PORT);
	works(pair);
	place = remote_of(pair.peer);
	EQ(port_of(place), 7000);
	/* The only port is taken, so the packet is dropped. */
	unanswered(far(), PORT);
}

static void limited(void)
{
	struct pair pair;

	table();
	pair = connected(serve(PORT), here(), PORT);
	nft("add counter inet t c; add rule inet t in tcp dport %d "
	    "limit rate over 20/second burst 5 packets counter name c drop",
	    PORT);
	for (int i = 0; i < 40; i++) {
		set_option(pair.fd, IPPROTO_TCP, TCP_NODELAY, 1);
		send_pattern(pair.fd, i, 1);
	}
	recv_pattern(pair.peer, 0, 40);
	CHECK(count_of("c") > 0);
}

/* A mangled header: what a rule changes is what the other side sees. */
static void mangled_mss(void)
{
	struct pair pair;
	int server;

	table();
	server = serve(PORT);
	nft("add rule inet t out tcp flags syn tcp option maxseg size set 600");
	pair = connected(server, here(), PORT);
	CHECK(get_option(pair.fd, IPPROTO_TCP, TCP_MAXSEG) <= 600);
	CHECK(get_option(pair.peer, IPPROTO_TCP, TCP_MAXSEG) <= 600);
	works(pair);
}

/* Through a router that forwards, and filters what it forwards. */
static void forwarded(void)
{
	struct link link = make_link(NULL);
	int middle = new_netns();
	struct pair pair;
	int server;

	shell("ip link set near netns /proc/self/fd/%d", middle);
	enter_netns(middle);
	shell("ip addr add %s dev near && ip link set near up && "
	      "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
	      !v6() ? "10.1.0.9/24" : "fd01::9/64 nodad");
	shell("ip link add inner type veth peer name outer netns /proc/self/fd/%d",
	      link.near);
	shell("ip addr add %s dev inner && ip link set inner up",
	      !v6() ? "10.2.0.1/24" : "fd00:2::1/64 nodad");
	nft("add table inet t; add counter inet t c; "
	    "add chain inet t through { type filter hook forward priority 0; }");
	enter_netns(link.near);
	shell("ip addr add %s dev outer && ip link set outer up && "
	      "ip route add default via %s",
	      !v6() ? "10.2.0.2/24" : "fd00:2::2/64 nodad",
	      !v6() ? "10.2.0.1" : "fd00:2::1");
	enter_netns(link.far);
	shell("ip route add %s",
	      !v6() ? "10.2.0.0/24 via 10.1.0.9" : "fd00:2::/64 via fd01::9");
	server = serve(PORT);
	enter_netns(link.near);
	pair = connected(server, far(), PORT);
	works(pair);
	enter_netns(middle);
	nft("add rule inet t through tcp dport %d counter name c drop", PORT);
	stuck(pair.fd, pair.peer);
	CHECK(count_of("c") > 0);
	nft("flush chain inet t through; "
	    "add rule inet t through tcp dport %d reject with icmpx admin-prohibited",
	    PORT);
	enter_netns(link.near);
	refused(far(), PORT, !v6() ? EHOSTUNREACH : EACCES);
	enter_netns(middle);
	nft("flush chain inet t through");
	unstuck(pair.peer);
}

/* A listener for what has mark 1, to whatever address it goes. */
static int take_foreign(uint16_t port)
{
	union address place = wildcard(port);
	int server = make_socket(0);
	const char *version = v6() ? "-6" : "-4";

	shell("ip %s rule add fwmark 1 lookup 100 && "
	      "ip %s route add local default dev lo table 100", version,
	      version);
	set_ip_option(server, IP_TRANSPARENT, IPV6_TRANSPARENT, 1);
	OK(bind_to(server, &place));
	OK(listen(server, 1));
	return server;
}

/* Traffic for every address taken in: a transparent proxy without TPROXY. */
static void intercepted(void)
{
	struct link link = make_link(NULL);
	const char *foreign = !v6() ? "10.55.0.1" : "fd00:55::1";
	union address place;
	struct pair pair;
	int server;

	shell("ip route add %s via %s", foreign, far());
	enter_netns(link.far);
	nft_table();
	nft("add rule inet t pre tcp dport %d meta mark set 1", PORT);
	server = take_foreign(PORT);
	enter_netns(link.near);
	pair = connected(server, foreign, PORT);
	works(pair);
	place = local_of(pair.peer);
	CHECK(strcmp(host_text(place), foreign) == 0);
	/* Another connection, in the proxy's client's name. */
	enter_netns(link.near);
	server = serve(PORT2);
	enter_netns(link.far);
	pair.fd = impatient();
	set_ip_option(pair.fd, IP_TRANSPARENT, IPV6_TRANSPARENT, 1);
	place = at(foreign, 0);
	OK(bind_to(pair.fd, &place));
	nft("add rule inet t pre tcp sport %d meta mark set 1", PORT2);
	OK(try_connect(pair.fd, near(), PORT2));
	pair.peer = accept_one(server);
	works(pair);
	place = remote_of(pair.peer);
	CHECK(strcmp(host_text(place), foreign) == 0);
}

/* "tproxy" finds Linux's own sockets only. */
static void proxied(void)
{
	const char *nowhere = !v6() ? "10.55.0.1" : "fd00:55::1";
	struct link link = make_link(NULL);
	int server;

	shell("ip route add %s via %s", nowhere, far());
	enter_netns(link.far);
	nft_table();
	nft("add rule inet t pre tcp dport %d tproxy %s to :%d meta mark set 1 "
	    "accept", PORT2, ip_word(), PORT);
	server = take_foreign(PORT);
	enter_netns(link.near);
	if (ours())
		refused(nowhere, PORT2, v6() ? ENETUNREACH : ETIMEDOUT);
	else
		works(connected(server, nowhere, PORT2));
}

/* So does "socket" on input; on output the packet tells. */
static void socket_of_packet(void)
{
	struct pair pair;
	int server;

	table();
	nft("add counter inet t i; add counter inet t o; "
	    "add rule inet t in tcp dport %d socket wildcard 0 counter name i; "
	    "add rule inet t out tcp dport %d socket mark 42 counter name o",
	    PORT, PORT);
	server = serve_at(here(), PORT);
	pair = connected(server, here(), PORT);
	set_option(pair.fd, SOL_SOCKET, SO_MARK, 42);
	works(pair);
	CHECK(count_of("o") > 0);
	if (ours())
		EQ(count_of("i"), 0);
	else
		CHECK(count_of("i") > 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(drop_in),		CASE(drop_out),
		CASE(drop_syn_ack),	CASE(drop_third_ack),
		CASE(reject_with_reset), CASE(reject_with_icmp),
		CASE(reject_from_afar),	CASE(reset_established),
		CASE(icmp_spares_established), CASE(drop_established),
		CASE(by_user),		CASE(by_user_of_child),
		CASE(by_mark),		CASE(by_cgroup),
		CASE(tracked),		CASE(stateful),
		CASE(redirected),		CASE(destination_nat),
		CASE(masqueraded),	CASE(source_nat_of_ports),
		CASE(limited),		CASE(mangled_mss),
		CASE(forwarded),	CASE(intercepted),
		CASE(proxied),		CASE(socket_of_packet),
	};

	if (getuid() != 0)
		return 4;
	return RUN_CASES(cases);
}
