// SPDX-License-Identifier: GPL-2.0
/* What ICMP says of segments: errors, and the error queue (IP_RECVERR). */
#define _GNU_SOURCE
#include "harness.h"

#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <string.h>

static void ask(int fd)
{
	set_ip_option(fd, IP_RECVERR, IPV6_RECVERR, 1);
}

/* Two hosts of which the far one takes no segments to this port. */
static struct link refusing_link(void)
{
	return make_link("delay 5ms");
}

static void refuse(const struct link *link)
{
	enter_netns(link->far);
	shell("nft 'add table inet t; "
	      "add chain inet t in { type filter hook input priority 0; }; "
	      "add rule inet t in meta l4proto tcp "
	      "reject with icmpx type host-unreachable'");
	enter_netns(link->near);
}

static void accept_again(const struct link *link)
{
	enter_netns(link->far);
	shell("nft delete table inet t");
	enter_netns(link->near);
}

static void expect_empty(int fd)
{
	char byte;

	FAILS(recv(fd, &byte, 1, MSG_ERRQUEUE), EAGAIN);
}

/* The queue has one error: host unreachable, by the far host, of a SYN. */
static void expect_error(int fd, const union address *peer)
{
	struct sock_extended_err *error;
	union address name, offender;
	char control[512];
	uint16_t port;
	char bytes[512];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr message = {
		.msg_name = &name,
		.msg_namelen = sizeof(name),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	ssize_t n = OK(recvmsg(fd, &message, MSG_ERRQUEUE));

	EQ(message.msg_flags, MSG_ERRQUEUE);
	EQ_ADDRESS(name, *peer);
	/* The quoted header follows: the ports come first. */
	CHECK(n >= 8);
	memcpy(&port, bytes + 2, sizeof(port));
	EQ(ntohs(port), port_of(*peer));
	cmsg = CMSG_FIRSTHDR(&message);
	CHECK(cmsg);
	EQ(cmsg->cmsg_level, v6() ? SOL_IPV6 : SOL_IP);
	EQ(cmsg->cmsg_type, v6() ? IPV6_RECVERR : IP_RECVERR);
	error = (struct sock_extended_err *)CMSG_DATA(cmsg);
	EQ(error->ee_errno, EHOSTUNREACH);
	EQ(error->ee_origin, v6() ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP);
	EQ(error->ee_type, v6() ? 1 : 3);
	EQ(error->ee_code, v6() ? 3 : 1);
	EQ(error->ee_info, 0);
	EQ(error->ee_data, 0);
	memset(&offender, 0, sizeof(offender));
	memcpy(&offender, SO_EE_OFFENDER(error), length_of(peer));
	EQ_HOST(offender, *peer);
	EQ(port_of(offender), 0);
	expect_empty(fd);
}

static void connect_in_vain(bool asked)
{
	struct link link = refusing_link();
	union address peer = far_address(4711);
	int fd = make_socket(SOCK_NONBLOCK);

	refuse(&link);
	if (asked)
		ask(fd);
	FAILS(connect(fd, &peer.any, length_of(&peer)), EINPROGRESS);
	CHECK(poll_for(fd, POLLOUT, 5000) & POLLERR);
	EQ(tcp_state(fd), STATE_CLOSE);
	EQ(take_error(fd), EHOSTUNREACH);
	/* Linux's IPv4 queues it even for those who do not ask. */
	if (asked || !v6()) {
		CHECK(events_now(fd) & POLLERR);
		expect_error(fd, &peer);
	}
	EQ(events_now(fd) & POLLERR, 0);
	expect_empty(fd);
	accept_again(&link);
}

static void of_an_attempt(void)
{
	connect_in_vain(true);
}

static void of_an_attempt_unasked(void)
{
	connect_in_vain(false);
}

/*
 * An error by this very machine comes while connect() has the socket: it is in
 * the queue, but the attempt goes on, until the next SYN.
 */
static void of_an_attempt_at_once(void)
{
	union address peer = loopback(4711);
	int fd;

	own_netns();
	fd = make_socket(SOCK_NONBLOCK);
	shell("nft add table inet t");
	shell("nft add chain inet t out "
	      "'{ type filter hook output priority 0; }'");
	shell("nft add rule inet t out tcp dport 4711 "
	      "reject with icmpx type host-unreachable");
	ask(fd);
	FAILS(connect(fd, &peer.any, length_of(&peer)), EINPROGRESS);
	EQ(tcp_state(fd), STATE_SYN_SENT);
	CHECK(events_now(fd) & POLLERR);
	expect_error(fd, &peer);
	EQ(events_now(fd) & POLLERR, 0);
	EQ(tcp_state(fd), STATE_SYN_SENT);
	CHECK(poll_for(fd, POLLOUT, 5000) & POLLERR);
	EQ(take_error(fd), EHOSTUNREACH);
	expect_error(fd, &peer);
}

/* Closed with errors in the queue: nothing is left of them. */
static void unread_at_close(void)
{
	struct link link = refusing_link();
	union address peer = far_address(4711);
	int fd = make_socket(SOCK_NONBLOCK);

	refuse(&link);
	ask(fd);
	FAILS(connect(fd, &peer.any, length_of(&peer)), EINPROGRESS);
	CHECK(poll_for(fd, POLLOUT, 5000) & POLLERR);
	OK(close(fd));
	accept_again(&link);
}

/* A connection that is there gets the error, but goes on. */
static void of_a_connection(void)
{
	struct link link = refusing_link();
	struct pair pair = make_pair_over(&link);
	char bytes[20];

	ask(pair.fd);
	refuse(&link);
	EQ(send(pair.fd, "0123456789", 10, 0), 10);
	CHECK(poll_for(pair.fd, 0, 5000) & POLLERR);
	expect_empty(pair.fd);
	FAILS(recv(pair.fd, bytes, sizeof(bytes), MSG_DONTWAIT), EHOSTUNREACH);
	FAILS(recv(pair.fd, bytes, sizeof(bytes), MSG_DONTWAIT), EAGAIN);
	EQ(tcp_state(pair.fd), STATE_ESTABLISHED);
	accept_again(&link);
	recv_all(pair.peer, bytes, 10);
	CHECK(!memcmp(bytes, "0123456789", 10));
}

static void of_a_connection_unasked(void)
{
	struct link link = refusing_link();
	struct pair pair = make_pair_over(&link);
	char bytes[20];

	refuse(&link);
	EQ(send(pair.fd, "0123456789", 10, 0), 10);
	EQ(poll_for(pair.fd, 0, 100), 0);
	expect_empty(pair.fd);
	FAILS(recv(pair.fd, bytes, sizeof(bytes), MSG_DONTWAIT), EAGAIN);
	/* SO_ERROR tells what may explain a failure that is to come. */
	EQ(take_error(pair.fd), EHOSTUNREACH);
	accept_again(&link);
	recv_all(pair.peer, bytes, 10);
}

static void of_the_option(void)
{
	int level = v6() ? SOL_IPV6 : SOL_IP;
	int name = v6() ? IPV6_RECVERR : IP_RECVERR;
	/* IP_RECVERR_RFC4884, IPV6_RECVERR_RFC4884 */
	int rfc4884 = v6() ? 31 : 26;
	int fd = make_socket(0);
	union address address;
	int server = listener(1, &address);
	int child;

	EQ(get_option(fd, level, name), 0);
	set_option(fd, level, name, 1);
	EQ(get_option(fd, level, name), 1);
	EQ(get_option(fd, level, rfc4884), 0);
	set_option(fd, level, rfc4884, 1);
	EQ(get_option(fd, level, rfc4884), 1);
	expect_empty(fd);
	set_option(server, level, name, 1);
	expect_empty(server);
	OK(connect_to(fd, &address));
	child = accept_one(server);
	EQ(get_option(child, level, name), 1);
	expect_empty(child);
	EQ(events_now(child) & POLLERR, 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(of_the_option),
		CASE(of_an_attempt),
		CASE(of_an_attempt_unasked),
		CASE(of_an_attempt_at_once),
		CASE(unread_at_close),
		CASE(of_a_connection),
		CASE(of_a_connection_unasked),
	};

	return RUN_CASES(cases);
}
