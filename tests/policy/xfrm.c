// SPDX-License-Identifier: GPL-2.0
/* What IPsec's policies, set with ip xfrm, do to connections. */
#define _GNU_SOURCE
#include "policy.h"

#include <linux/in6.h>
#include <linux/tcp.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <string.h>

#define KEYS	"enc \"cbc(aes)\" 0x000102030405060708090a0b0c0d0e0f " \
		"auth \"hmac(sha256)\" 0x000102030405060708090a0b0c0d0e0f" \
		"101112131415161718191a1b1c1d1e1f"

static const char *any(void)
{
	return v6() ? "::/0" : "0.0.0.0/0";
}

static void apply(const char *command, const char *direction,
		  const char *from, const char *to, const char *rest)
{
	shell("ip xfrm policy %s dir %s src %s dst %s %s", command, direction,
	      from, to, rest);
}

/* Every segment, whoever sends it. */
static void block(const char *direction)
{
	apply("add", direction, any(), any(), "proto tcp action block");
}

static void unblock(const char *direction)
{
	apply("del", direction, any(), any(), "proto tcp");
}

/* Segments along this way must be encrypted. */
static void must_encrypt(const char *direction, const char *from,
			 const char *to)
{
	apply("add", direction, from, to,
	       "proto tcp tmpl proto esp mode transport");
}

/* The two associations between the ends, in the present namespace. */
static void associate(void)
{
	shell("ip xfrm state add src %s dst %s proto esp spi 0x100 "
	      "mode transport " KEYS, near(), far());
	shell("ip xfrm state add src %s dst %s proto esp spi 0x200 "
	      "mode transport " KEYS, far(), near());
}

static void blocked_out(void)
{
	struct link link;
	struct pair pair;
	int server;

	link = make_served_link(&server);
	pair = connected(server, far(), PORT);
	block("out");
	refused(far(), PORT, EPERM);
	stuck(pair.fd, pair.peer);
	unblock("out");
	unstuck(pair.peer);
	pair = connected(server, far(), PORT);
	works(pair);
	/* Neither SYN-ACKs nor data. */
	enter_netns(link.far);
	block("out");
	enter_netns(link.near);
	unanswered(far(), PORT);
	stuck(pair.peer, pair.fd);
	enter_netns(link.far);
	unblock("out");
	unstuck(pair.fd);
}

static void blocked_in(void)
{
	struct link link;
	struct pair pair;
	int server;

	link = make_served_link(&server);
	pair = connected(server, far(), PORT);
	enter_netns(link.far);
	block("in");
	enter_netns(link.near);
	/* Not even refused. */
	unanswered(far(), PORT);
	unanswered(far(), PORT2);
	stuck(pair.fd, pair.peer);
	enter_netns(link.far);
	unblock("in");
	unstuck(pair.peer);
	works(pair);
}

static void encrypted(void)
{
	struct link link = make_link(NULL);
	struct pair pair;
	int server;

	associate();
	must_encrypt("out", near(), far());
	must_encrypt("in", far(), near());
	nft_table();
	nft("add counter inet t sealed; add counter inet t plain; "
	    "add rule inet t pre meta l4proto esp counter name sealed; "
	    "add rule inet t in meta l4proto tcp meta ipsec missing "
	    "counter name plain");
	enter_netns(link.far);
	associate();
	must_encrypt("out", far(), near());
	must_encrypt("in", near(), far());
	server = serve(PORT);
	enter_netns(link.near);
	pair = connected(server, far(), PORT);
	works(pair);
	send_pattern(pair.fd, 0, 60000);
	recv_pattern(pair.peer, 0, 60000);
	CHECK(count_of("sealed") > 4);
	EQ(count_of("plain"), 0);
	/* Ends as any, and what is closed is refused. */
	OK(shutdown(pair.fd, SHUT_WR));
	expect_end(pair.peer);
	close(pair.peer);
	expect_end(pair.fd);
	refused(far(), PORT2, ECONNREFUSED);
	EQ(count_of("plain"), 0);
}

/* A segment has less room where it is encrypted. */
static void room_for_encryption(void)
{
	struct link link;
	struct pair pair;
	int server, clear;

	link = make_served_link(&server);
	pair = connected(server, far(), PORT);
	works(pair);
	clear = get_option(pair.fd, IPPROTO_TCP, TCP_MAXSEG);
	associate();
	must_encrypt("out", near(), far());
	must_encrypt("in", far(), near());
	enter_netns(link.far);
	associate();
	must_encrypt("out", far(), near());
	must_encrypt("in", near(), far());
	/* The connection that is there goes on, encrypted. */
	works(pair);
	enter_netns(link.near);
	pair = connected(server, far(), PORT);
	send_pattern(pair.fd, 0, 60000);
	recv_pattern(pair.peer, 0, 60000);
	CHECK(get_option(pair.fd, IPPROTO_TCP, TCP_MAXSEG) < clear);
}

/* Whoever asks for encryption hears nothing else. */
static void plain_not_heard(void)
{
	struct link link;
	struct pair pair;
	int server;

	link = make_served_link(&server);
	pair = connected(server, far(), PORT);
	works(pair);
	enter_netns(link.far);
	must_encrypt("in", near(), far());
	enter_netns(link.near);
	unanswered(far(), PORT);
	stuck(pair.fd, pair.peer);
}

/* The same of one that ended: its peer's last FIN is not answered. */
static void plain_not_heard_in_time_wait(void)
{
	struct link link = make_link(NULL);
	struct pair pair;
	int server;

	enter_netns(link.far);
	server = serve(PORT);
	nft_table();
	nft("add counter inet t c; "
	    "add rule inet t out tcp flags & (syn | ack) == ack "
	    "tcp sport %d counter name c", PORT);
	enter_netns(link.near);
	pair = connected(server, far(), PORT);
	OK(shutdown(pair.peer, SHUT_WR));
	expect_end(pair.fd);
	enter_netns(link.far);
	/* Its FIN comes, the answer does not go. */
	nft("insert rule inet t out tcp flags & (fin | ack) == ack drop");
	close(pair.fd);
	expect_end(pair.peer);
	close(pair.peer);
	sleep_ms(50);
	must_encrypt("in", near(), far());
	nft("flush chain inet t out");
	nft("reset counter inet t c");
	nft("add rule inet t out tcp sport %d counter name c", PORT);
	sleep_ms(600);
	EQ(count_of("c"), 0);
	apply("del", "in", near(), far(), "proto tcp");
	sleep_ms(10000);
	CHECK(count_of("c") > 0);
}

/* An error that no association protects is not heard. */
static void errors_not_heard(void)
{
	struct link link = make_link(NULL);

	enter_netns(link.far);
	nft_table();
	nft("add rule inet t in tcp dport %d reject with icmpx port-unreachable",
	    PORT);
	enter_netns(link.near);
	refused(far(), PORT, ECONNREFUSED);
	apply("add", "in", any(), any(),
	       v6() ? "proto ipv6-icmp type 1 action block" :
		      "proto icmp action block");
	unanswered(far(), PORT);
}

static void set_policy(int fd, int direction, int action)
{
	struct xfrm_userpolicy_info info = {
		.sel.family = v6() ? AF_INET6 : AF_INET,
		.dir = direction,
		.action = action,
		.lft = {
			.soft_byte_limit = XFRM_INF,
			.hard_byte_limit = XFRM_INF,
			.soft_packet_limit = XFRM_INF,
			.hard_packet_limit = XFRM_INF,
		},
	};

	OK(setsockopt(fd, v6() ? IPPROTO_IPV6 : IPPROTO_IP,
		      v6() ? 35 /* IPV6_XFRM_POLICY */ : IP_XFRM_POLICY, &info,
		      sizeof(info)));
}

static void of_one_socket(void)
{
	struct pair pair;
	int server, fd;

	own_world();
	server = serve(PORT);
	fd = impatient();
	set_policy(fd, XFRM_POLICY_OUT, XFRM_POLICY_BLOCK);
	FAILS(try_connect(fd, here(), PORT), EPERM);
	fd = impatient();
	set_policy(fd, XFRM_POLICY_IN, XFRM_POLICY_BLOCK);
	FAILS(try_connect(fd, here(), PORT), ETIMEDOUT);
	works(connected(server, here(), PORT));
	/* It comes before the host's. */
	block("out");
	server = serve(PORT2);
	set_policy(server, XFRM_POLICY_OUT, XFRM_POLICY_ALLOW);
	fd = impatient();
	set_policy(fd, XFRM_POLICY_OUT, XFRM_POLICY_ALLOW);
	OK(try_connect(fd, here(), PORT2));
	pair = (struct pair){ fd, accept_one(server) };
	/* The child has its listener's. */
	works(pair);
	set_policy(pair.peer, XFRM_POLICY_IN, XFRM_POLICY_BLOCK);
	stuck(pair.fd, pair.peer);
}

static void of_a_listener(void)
{
	int server;

	own_world();
	server = serve(PORT);
	set_policy(server, XFRM_POLICY_IN, XFRM_POLICY_BLOCK);
	unanswered(here(), PORT);
	set_policy(server, XFRM_POLICY_IN, XFRM_POLICY_ALLOW);
	works(connected(server, here(), PORT));
	set_policy(server, XFRM_POLICY_OUT, XFRM_POLICY_BLOCK);
	unanswered(here(), PORT);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(blocked_out),	CASE(blocked_in),
		CASE(encrypted),	CASE(room_for_encryption),
		CASE(plain_not_heard),	CASE(plain_not_heard_in_time_wait),
		CASE(errors_not_heard),	CASE(of_one_socket),
		CASE(of_a_listener),
	};

	if (getuid() != 0)
		return 4;
	return RUN_CASES(cases);
}
