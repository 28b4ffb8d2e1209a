// SPDX-License-Identifier: GPL-2.0
/* What routes, rules of routing and virtual routers do to connections. */
#define _GNU_SOURCE
#include "policy.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* An address that no link leads to. */
static const char *away(void)
{
	return v6() ? "fd99::1" : "10.99.0.1";
}

static void routes(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void routes(const char *format, ...)
{
	va_list arguments;
	char words[1024];

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	shell("ip %s %s", v6() ? "-6" : "-4", words);
}

/* The error of a route that is no way. */
static void kinds_of_route(void)
{
	make_link(NULL);
	refused(away(), PORT, ENETUNREACH);
	routes("route add unreachable %s", away());
	refused(away(), PORT, EHOSTUNREACH);
	routes("route replace prohibit %s", away());
	refused(away(), PORT, EACCES);
	routes("route replace blackhole %s", away());
	refused(away(), PORT, EINVAL);
	routes("route replace throw %s", away());
	refused(away(), PORT, ENETUNREACH);
}

/* A route that ends as a way stops a connection, until there is one again. */
static void route_taken_away(void)
{
	struct pair pair;
	int server;

	make_served_link(&server);
	pair = connected(server, far(), PORT);
	works(pair);
	routes("route add prohibit %s", far());
	stuck(pair.fd, pair.peer);
	routes("route del prohibit %s", far());
	unstuck(pair.peer);
	routes("route add blackhole %s", far());
	stuck(pair.fd, pair.peer);
	routes("route del blackhole %s", far());
	unstuck(pair.peer);
}

static void set_tos(int fd, int tos)
{
	set_ip_option(fd, IP_TOS, IPV6_TCLASS, tos);
}

/* Rules that choose by what the connection is. */
static void rules_of_sockets(void)
{
	int server, fd;

	make_served_link(&server);

	routes("rule add fwmark 7 prohibit");
	fd = impatient();
	set_option(fd, SOL_SOCKET, SO_MARK, 7);
	FAILS(try_connect(fd, far(), PORT), EACCES);
	set_option(fd, SOL_SOCKET, SO_MARK, 8);
	OK(try_connect(fd, far(), PORT));
	accept_one(server);

	routes("rule add uidrange 1000-1000 unreachable");
	OK(seteuid(1000));
	refused(far(), PORT, ENETUNREACH);
	OK(seteuid(0));

	routes("rule add dport %d blackhole", PORT2);
	refused(far(), PORT2, EINVAL);

	routes("rule add sport 5555 prohibit");
	fd = bound_to(near(), 5555);
	FAILS(try_connect(fd, far(), PORT), EACCES);
	fd = bound_to(near(), 5556);
	OK(try_connect(fd, far(), PORT));
	accept_one(server);

	routes("rule add dsfield 0x10 prohibit");
	fd = impatient();
	set_tos(fd, 0x10);
	FAILS(try_connect(fd, far(), PORT), EACCES);

	routes("rule add from %s ipproto tcp to %s dport %d prohibit", near(),
	       far(), PORT);
	fd = bound_to(near(), 0);
	FAILS(try_connect(fd, far(), PORT), EACCES);
}

/* The rule comes when the connection is there. */
static void rules_of_connections(void)
{
	struct link link;
	struct pair pair;
	int server;

	link = make_served_link(&server);
	pair = connected(server, far(), PORT);
	works(pair);
	routes("rule add fwmark 7 prohibit");
	set_option(pair.fd, SOL_SOCKET, SO_MARK, 7);
	stuck(pair.fd, pair.peer);
	routes("rule del fwmark 7");
	unstuck(pair.peer);
	enter_netns(link.far);
	routes("rule add ipproto tcp sport %d prohibit", PORT);
	stuck(pair.peer, pair.fd);
	routes("rule del ipproto tcp sport %d prohibit", PORT);
	unstuck(pair.fd);
}

/* What answers for a listener goes by the listener's rules. */
static void rules_of_listeners(void)
{
	struct link link = make_link(NULL);
	int server;

	enter_netns(link.far);
	server = serve(PORT);
	routes("rule add fwmark 7 prohibit");
	set_option(server, SOL_SOCKET, SO_MARK, 7);
	enter_netns(link.near);
	unanswered(far(), PORT);
	set_option(server, SOL_SOCKET, SO_MARK, 8);
	works(connected(server, far(), PORT));

	enter_netns(link.far);
	routes("rule add ipproto tcp sport %d prohibit", PORT);
	enter_netns(link.near);
	unanswered(far(), PORT);
	enter_netns(link.far);
	routes("rule del ipproto tcp sport %d prohibit", PORT);

	OK(seteuid(1000));
	server = serve(PORT2);
	OK(seteuid(0));
	routes("rule add uidrange 1000-1000 prohibit");
	enter_netns(link.near);
	unanswered(far(), PORT2);
	enter_netns(link.far);
	routes("rule del uidrange 1000-1000 prohibit");
	enter_netns(link.near);
	works(connected(server, far(), PORT2));
}

/* tcp_fwmark_accept: a connection has the mark that its SYN came with. */
static void mark_of_syn(void)
{
	struct pair pair;
	int server;

	own_world();
	nft_table();
	nft("add rule inet t pre tcp dport %d tcp flags syn meta mark set 5; "
	    "add counter inet t c; "
	    "add rule inet t out tcp sport %d meta mark 5 counter name c", PORT,
	    PORT);
	server = serve(PORT);
	pair = connected(server, here(), PORT);
	EQ(get_option(pair.peer, SOL_SOCKET, SO_MARK), 0);
	EQ(count_of("c"), 0);
	write_setting("ipv4/tcp_fwmark_accept", "1");
	pair = connected(server, here(), PORT);
	EQ(get_option(pair.peer, SOL_SOCKET, SO_MARK), 5);
	/* The SYN-ACK too. */
	EQ(count_of("c"), 1);
	works(pair);
	CHECK(count_of("c") > 1);
	/* A listener that has a mark gives it to all. */
	set_option(server, SOL_SOCKET, SO_MARK, 9);
	pair = connected(server, here(), PORT);
	EQ(get_option(pair.peer, SOL_SOCKET, SO_MARK), 9);
	/* With cookies there is no record that could keep it. */
	set_option(server, SOL_SOCKET, SO_MARK, 0);
	write_setting("ipv4/tcp_syncookies", "2");
	nft("add rule inet t pre tcp dport %d meta mark set 6", PORT);
	pair = connected(server, here(), PORT);
	EQ(get_option(pair.peer, SOL_SOCKET, SO_MARK), 6);
	works(pair);
}

/* fwmark_reflect: what no socket sends has the mark of what it answers. */
static void mark_of_reply(void)
{
	struct pair pair;

	own_world();
	nft_table();
	write_setting(v6() ? "ipv6/fwmark_reflect" : "ipv4/fwmark_reflect", "1");
	nft("add rule inet t pre tcp dport %d meta mark set 5; "
	    "add counter inet t c; "
	    "add rule inet t out tcp sport %d tcp flags & rst == rst "
	    "meta mark 5 counter name c", PORT, PORT);
	refused(here(), PORT, ECONNREFUSED);
	EQ(count_of("c"), 1);
	/* The peer is gone: its data is answered with a reset. */
	pair = connected(serve(PORT), here(), PORT);
	nft("add rule inet t out tcp sport %d tcp flags & fin == fin drop", PORT);
	set_option(pair.peer, IPPROTO_TCP, TCP_LINGER2, -1);
	close(pair.peer);
	send_all(pair.fd, "x", 1);
	EQ_BITS(poll_for(pair.fd, POLLIN | POLLHUP, 3000) & POLLHUP, POLLHUP);
	EQ(count_of("c"), 2);
}

/* The named counters of TOS values: what leaves the host has which. */
static void count_tos(void)
{
	own_world();
	nft_table();
	nft("add counter inet t syn; add counter inet t syn_ack; "
	    "add counter inet t data; "
	    "add rule inet t out tcp flags & (syn | ack) == syn "
	    "%s dscp 0x04 counter name syn; "
	    "add rule inet t out tcp flags & (syn | ack) == syn | ack "
	    "%s dscp 0x04 counter name syn_ack; "
	    "add rule inet t out tcp flags & (syn | psh) == psh "
	    "%s dscp 0x04 counter name data", ip_word(), ip_word(), ip_word());
}

static int get_tos(int fd)
{
	return v6() ? get_option(fd, IPPROTO_IPV6, IPV6_TCLASS) :
		       get_option(fd, IPPROTO_IP, IP_TOS);
}

static struct pair connected_with_tos(int server, int tos)
{
	struct pair pair = { .fd = impatient() };

	set_tos(pair.fd, tos);
	OK(try_connect(pair.fd, here(), PORT));
	pair.peer = accept_one(server);
	return pair;
}

static void type_of_service(void)
{
	struct pair pair;
	int server;

	count_tos();
	server = serve(PORT);
	pair = connected_with_tos(server, 0x10);
	EQ(get_tos(pair.peer), 0);
	EQ(count_of("syn"), 1);
	EQ(count_of("syn_ack"), 0);
	send_pattern(pair.peer, 0, 10);
	recv_pattern(pair.fd, 0, 10);
	EQ(count_of("data"), 0);
	send_pattern(pair.fd, 0, 10);
	recv_pattern(pair.peer, 0, 10);
	EQ(count_of("data"), 1);
	/* Of a listener: that of its answers and its connections. */
	set_tos(server, 0x10);
	pair = connected_with_tos(server, 0);
	EQ(count_of("syn"), 1);
	EQ(count_of("syn_ack"), 1);
	EQ(get_tos(pair.peer), 0x10);
	send_pattern(pair.peer, 0, 10);
	recv_pattern(pair.fd, 0, 10);
	EQ(count_of("data"), 2);
	/* Changed while it is there. */
	set_tos(pair.peer, 0x20);
	send_pattern(pair.peer, 0, 10);
	recv_pattern(pair.fd, 0, 10);
	EQ(count_of("data"), 2);
}

/* tcp_reflect_tos: a listener's connections take the client's. */
static void reflected_tos(void)
{
	struct pair pair;
	int server;

	count_tos();
	write_setting("ipv4/tcp_reflect_tos", "1");
	server = serve(PORT);
	pair = connected_with_tos(server, 0x10);
	EQ(count_of("syn"), 1);
	EQ(count_of("syn_ack"), 1);
	EQ(get_tos(pair.peer), 0x10);
	send_pattern(pair.peer, 0, 10);
	recv_pattern(pair.fd, 0, 10);
	EQ(count_of("data"), 1);
	/* Over the listener's own. */
	set_tos(server, 0x20);
	pair = connected_with_tos(server, 0x10);
	EQ(get_tos(pair.peer), 0x10);
	EQ(count_of("syn_ack"), 2);
	/* The ECN field is nobody's. */
	pair = connected_with_tos(server, 0x13);
	EQ(get_tos(pair.peer) & ~3, 0x10);
}

static void priorities(void)
{
	struct pair pair;
	int server;

	own_world();
	nft_table();
	nft("add counter inet t c; add counter inet t s; "
	    "add rule inet t out tcp flags & (syn | ack) == syn | ack "
	    "meta priority 0:6 counter name s; "
	    "add rule inet t out meta priority 0:6 counter name c");
	server = serve(PORT);
	set_option(server, SOL_SOCKET, SO_PRIORITY, 6);
	pair = connected(server, here(), PORT);
	EQ(count_of("s"), 1);
	/* A connection has none of its listener's. */
	EQ(get_option(pair.peer, SOL_SOCKET, SO_PRIORITY), 0);
	EQ(count_of("c"), 1);
	works(pair);
	EQ(count_of("c"), 1);
	set_option(pair.peer, SOL_SOCKET, SO_PRIORITY, 6);
	send_pattern(pair.peer, 0, 10);
	recv_pattern(pair.fd, 0, 10);
	EQ(count_of("c"), 2);
}

static void set_ttl(int fd, int ttl)
{
	set_ip_option(fd, IP_TTL, IPV6_UNICAST_HOPS, ttl);
}

static void set_min_ttl(int fd, int ttl)
{
	set_ip_option(fd, 21 /* IP_MINTTL */, 73 /* IPV6_MINHOPCOUNT */, ttl);
}

static void time_to_live(void)
{
	const char *field = v6() ? "ip6 hoplimit" : "ip ttl";
	struct pair pair;
	int server;

	own_world();
	nft_table();
	nft("add counter inet t c; add counter inet t s; "
	    "add rule inet t out tcp sport %d tcp flags & syn == syn "
	    "%s 33 counter name s; add rule inet t out tcp sport %d "
	    "tcp flags & syn == 0 %s 33 counter name c", PORT, field, PORT,
	    field);
	server = serve(PORT);
	set_ttl(server, 33);
	pair = connected(server, here(), PORT);
	EQ(count_of("s"), 1);
	send_pattern(pair.peer, 0, 10);
	recv_pattern(pair.fd, 0, 10);
	CHECK(count_of("c") > 0);
	nft("reset counter inet t c");
	set_ttl(pair.peer, 34);
	send_pattern(pair.peer, 0, 10);
	recv_pattern(pair.fd, 0, 10);
	EQ(count_of("c"), 0);
}

/* Segments that have come from too far are not seen. */
static void least_time_to_live(void)
{
	struct pair pair;
	int server, fd;

	own_world();
	server = serve(PORT);
	set_min_ttl(server, 200);
	unanswered(here(), PORT);
	fd = impatient();
	set_ttl(fd, 200);
	OK(try_connect(fd, here(), PORT));
	pair = (struct pair){ fd, accept_one(server) };
	works(pair);
	set_ttl(fd, 199);
	stuck(fd, pair.peer);
	set_ttl(fd, 255);
	unstuck(pair.peer);
	/* The answer is one, too. */
	server = serve(PORT2);
	fd = impatient();
	set_min_ttl(fd, 200);
	FAILS(try_connect(fd, here(), PORT2), ETIMEDOUT);
	set_ttl(server, 200);
	fd = impatient();
	set_min_ttl(fd, 200);
	OK(try_connect(fd, here(), PORT2));
}

/* An error of a router's has come from the router. */
static void least_time_to_live_of_errors(void)
{
	struct link link = make_link(NULL);
	int fd;

	enter_netns(link.far);
	nft_table();
	nft("add rule inet t in tcp dport %d reject with icmpx port-unreachable",
	    PORT);
	enter_netns(link.near);
	fd = impatient();
	set_min_ttl(fd, 200);
	FAILS(try_connect(fd, far(), PORT), ETIMEDOUT);
	refused(far(), PORT, ECONNREFUSED);
}

static void without_gateway(void)
{
	struct link link = make_link(NULL);
	int server, fd;

	enter_netns(link.far);
	server = serve(PORT);
	routes("addr add %s dev lo", away());
	enter_netns(link.near);
	routes("route add %s via %s", away(), far());
	works(connected(server, away(), PORT));
	fd = impatient();
	set_option(fd, SOL_SOCKET, SO_DONTROUTE, 1);
	if (v6()) {
		/* IPv6 asks no such thing of a route. */
		OK(try_connect(fd, away(), PORT));
		return;
	}
	FAILS(try_connect(fd, away(), PORT), ENETUNREACH);
	fd = impatient();
	set_option(fd, SOL_SOCKET, SO_DONTROUTE, 1);
	OK(try_connect(fd, far(), PORT));
	works((struct pair){ fd, accept_one(server) });
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(kinds_of_route),	CASE(route_taken_away),
		CASE(rules_of_sockets),	CASE(rules_of_connections),
		CASE(rules_of_listeners), CASE(mark_of_syn),
		CASE(mark_of_reply),	CASE(type_of_service),
		CASE(reflected_tos),	CASE(priorities),
		CASE(time_to_live),	CASE(least_time_to_live),
		CASE(least_time_to_live_of_errors), CASE(without_gateway),
	};

	if (getuid() != 0)
		return 4;
	return RUN_CASES(cases);
}
