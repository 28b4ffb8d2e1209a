// SPDX-License-Identifier: GPL-2.0
/*
 * The labels of a security module (Smack) on packets of IPv4: an option of the
 * IP header (CIPSO) on each, which says who sends it.
 */
#define _GNU_SOURCE
#include "smack.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/xattr.h>

/* Packets that come in through the loopback device. */
struct packet {
	struct iphdr ip;
	unsigned char rest[1 << 16];
};

static int capture(void)
{
	return OK(socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, htons(ETH_P_IP)));
}

static bool next_packet(int fd, struct packet *packet)
{
	struct sockaddr_ll from;
	socklen_t length;
	long received;

	do {
		length = sizeof(from);
		received = recvfrom(fd, packet, sizeof(*packet), 0,
				    (struct sockaddr *)&from, &length);
		if (received < 0) {
			CHECK(errno == EAGAIN);
			return false;
		}
	} while (from.sll_pkttype == PACKET_OUTGOING);
	return true;
}

static size_t options_of(const struct packet *packet)
{
	return packet->ip.ihl * 4 - sizeof(packet->ip);
}

static const struct tcphdr *tcp_of(const struct packet *packet)
{
	return (const void *)(packet->rest + options_of(packet));
}

/* The IP options that stand for a label: those of a datagram of its own. */
struct wire {
	size_t length;
	unsigned char bytes[40];
};

static struct wire wire_of(const char *label)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct packet packet;
	int fd, seen = capture();
	struct wire wire;

	become(label);
	fd = OK(socket(AF_INET, SOCK_DGRAM, 0));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	OK(sendto(fd, "x", 1, 0, (void *)&to, sizeof(to)));
	do {
		CHECK(next_packet(seen, &packet));
	} while (packet.ip.protocol != IPPROTO_UDP);
	wire.length = options_of(&packet);
	memcpy(wire.bytes, packet.rest, wire.length);
	close(fd);
	close(seen);
	return wire;
}

static void bears(const struct packet *packet, const struct wire *wire)
{
	if (options_of(packet) != wire->length ||
	    memcmp(packet->rest, wire->bytes, wire->length))
		FAIL("a packet from port %d, flags %#x, has %zu bytes of options, not the %zu of its label",
		     ntohs(tcp_of(packet)->source),
		     ((const unsigned char *)tcp_of(packet))[13],
		     options_of(packet), wire->length);
}

/* All segments so far bear their sender's label; the bits of the flags seen. */
static unsigned int labelled(int seen, const struct wire *client,
			     const struct wire *server)
{
	struct packet packet;
	unsigned int flags = 0;

	while (next_packet(seen, &packet)) {
		if (packet.ip.protocol != IPPROTO_TCP)
			continue;
		if (ntohs(tcp_of(&packet)->dest) == port)
			bears(&packet, client);
		else
			bears(&packet, server);
		flags |= ((const unsigned char *)tcp_of(&packet))[13];
	}
	return flags;
}

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

/* Each packet of a connection, from SYN to FIN. */
static void on_the_wire(void)
{
	struct wire client, server_wire;
	struct pair pair;
	int seen, server;

	world(10);
	rules("w", "w");
	client = wire_of("Client");
	server_wire = wire_of("Server");
	CHECK(client.length >= 12 && server_wire.length >= 12);
	CHECK(memcmp(client.bytes, server_wire.bytes, client.length));
	FOR_ALL_ENDS(ends) {
		seen = capture();
		server = server_as("Server", server_family(ends));
		pair = connect_as("Client", client_family(ends), server);
		works(pair);
		OK(shutdown(pair.fd, SHUT_WR));
		expect_end(pair.peer);
		close(pair.peer);
		expect_end(pair.fd);
		EQ_BITS(labelled(seen, &client, &server_wire), FIN | SYN | ACK | 8);
		close(pair.fd);
		close(server);
		close(seen);
	}
}

/* A label of many letters takes most of what an IP header has room for. */
static void long_label(void)
{
	static const char name[] = "ALabelOfTwentyThreeByte";
	struct wire wire;
	struct pair pair;
	int seen;

	world(11);
	wire = wire_of(name);
	CHECK(wire.length > 32);
	seen = capture();
	pair = connect_as(name, family(), server_as(name, family()));
	works(pair);
	peer_label_is(pair.peer, name);
	EQ_BITS(labelled(seen, &wire, &wire), SYN | ACK | 8);
}

/* That of no label has no options. */
static void floor_is_bare(void)
{
	struct wire wire;
	int seen;

	world(12);
	wire = wire_of("_");
	EQ(wire.length, 0);
	seen = capture();
	works(connect_as("_", family(), server_as("_", family())));
	EQ_BITS(labelled(seen, &wire, &wire), SYN | ACK | 8);
}

/* Resets: of a connection, and for a segment of none. */
static void resets(void)
{
	struct wire client, server_wire;
	struct pair pair;
	int seen, server;

	world(13);
	rules("w", "w");
	client = wire_of("Client");
	server_wire = wire_of("Server");
	server = server_as("Server", family());
	seen = capture();
	pair = connect_as("Client", family(), server);
	linger_zero(pair.fd);
	close(pair.fd);
	EQ(poll_for(pair.peer, POLLIN, 1000) & POLLERR, POLLERR);
	EQ_BITS(labelled(seen, &client, &server_wire), SYN | ACK | RST);
	pair = connect_as("Client", family(), server);
	linger_zero(pair.peer);
	close(pair.peer);
	EQ(poll_for(pair.fd, POLLIN, 1000) & POLLERR, POLLERR);
	EQ_BITS(labelled(seen, &client, &server_wire), SYN | ACK | RST);
}

/* What is answered for a connection in TIME-WAIT bears what it answers. */
static void in_time_wait(void)
{
	struct wire client, server_wire;
	struct packet packet;
	struct pair pair;
	int seen, acks = 0;

	world(25);
	rules("w", "w");
	client = wire_of("Client");
	server_wire = wire_of("Server");
	pair = connect_as("Client", family(), server_as("Server", family()));
	works(pair);
	close(pair.fd);
	expect_end(pair.peer);
	seen = capture();
	/* The first ACK of the FIN, the socket's own, is not let in. */
	rules("-", "w");
	close(pair.peer);
	sleep_ms(3000);
	while (next_packet(seen, &packet)) {
		if (packet.ip.protocol != IPPROTO_TCP)
			continue;
		if (ntohs(tcp_of(&packet)->dest) == port && ++acks == 1)
			bears(&packet, &client);
		else
			bears(&packet, &server_wire);
	}
	EQ(acks, 2);
}

/* A SYN-ACK that is sent again, and one that bears a cookie. */
static void answers_to_syns(void)
{
	struct wire client, server_wire;
	struct pair pair;
	int seen, server;

	world(14);
	rules("w", "-");
	client = wire_of("Client");
	server_wire = wire_of("Server");
	server = server_as("Server", family());
	seen = capture();
	refused_as("Client", ETIMEDOUT);
	EQ_BITS(labelled(seen, &client, &server_wire), SYN | ACK);

	rules("w", "w");
	write_setting("ipv4/tcp_syncookies", "2");
	pair = connect_as("Client", family(), server);
	works(pair);
	peer_label_is(pair.peer, "Client");
	EQ_BITS(labelled(seen, &client, &server_wire), SYN | ACK | 8);
}

/* Data in the SYN: the child is there before the third ACK. */
static void fast_open(void)
{
	union address place;
	struct wire client, server_wire;
	struct pair pair;
	int seen, server;
	char byte;

	world(15);
	rules("w", "w");
	/* Linux's SYN-ACK has no label, since the child has taken it. */
	rule("_", "Client", "w");
	write_setting("ipv4/tcp_fastopen", "519");
	client = wire_of("Client");
	server_wire = wire_of("Server");
	server = server_as("Server", family());
	set_option(server, IPPROTO_TCP, TCP_FASTOPEN, 5);
	pair.fd = socket_as("Client", family());
	place = at(here(), port);
	EQ(sendto(pair.fd, "x", 1, MSG_FASTOPEN, &place.any, length_of(&place)), 1);
	pair.peer = accept_one(server);
	peer_label_is(pair.peer, "Client");
	recv_all(pair.peer, &byte, 1);
	works(pair);
	seen = capture();
	works(pair);
	EQ_BITS(labelled(seen, &client, &server_wire), ACK | 8);
}

/* Labels leave room for themselves in each packet. */
static void room_for_label(void)
{
	struct tcp_info info[2];
	struct wire wire;
	struct pair pair;
	socklen_t length;
	int server;

	world(16);
	shell("ip link set lo mtu 1500");
	wire = wire_of("Talker");
	server = server_as("Talker", family());
	pair = connect_as("Talker", family(), server);
	send_pattern(pair.fd, 0, 20000);
	recv_pattern(pair.peer, 0, 20000);
	send_pattern(pair.peer, 0, 20000);
	recv_pattern(pair.fd, 0, 20000);
	length = sizeof(info[0]);
	OK(getsockopt(pair.fd, IPPROTO_TCP, TCP_INFO, &info[0], &length));
	length = sizeof(info[1]);
	OK(getsockopt(pair.peer, IPPROTO_TCP, TCP_INFO, &info[1], &length));
	EQ(info[0].tcpi_snd_mss, 1500 - 40 - 12 - wire.length);
	EQ(info[1].tcpi_snd_mss, 1500 - 40 - 12 - wire.length);
	EQ(info[0].tcpi_total_retrans, 0);
	EQ(info[1].tcpi_total_retrans, 0);
}

/* The labels of a socket, set by who may. */
static void set_on_socket(void)
{
	struct wire other, server_wire;
	struct pair pair;
	int seen, server;

	world(17);
	rule("Other", "Server", "w");
	rule("Server", "Other", "w");
	other = wire_of("Other");
	server_wire = wire_of("Server");
	server = server_as("Server", family());
	seen = capture();
	pair.fd = socket_as("Client", family());
	OK(fsetxattr(pair.fd, "security.SMACK64IPOUT", "Other", 5, 0));
	OK(fsetxattr(pair.fd, "security.SMACK64IPIN", "Other", 5, 0));
	OK(try_connect(pair.fd, here(), port));
	pair.peer = accept_one(server);
	works(pair);
	peer_label_is(pair.peer, "Other");
	attribute_is(pair.fd, "security.SMACK64IPOUT", "Other");
	EQ_BITS(labelled(seen, &other, &server_wire), SYN | ACK | 8);

	/* What comes in is compared with the one, what leaves has the other. */
	OK(fsetxattr(pair.fd, "security.SMACK64IPIN", "Client", 6, 0));
	stuck(pair.peer, pair.fd);
	OK(fsetxattr(pair.fd, "security.SMACK64IPIN", "Other", 5, 0));
	unstuck(pair.fd);
}

/* A host that is said to have one label gets packets without any. */
static void labelled_host(void)
{
	struct wire none = { 0 };
	struct pair pair;
	int seen, server, fd;

	world(18);
	write_file(SMACKFS "/netlabel", "127.9.9.0/24 Host");
	rule("Client", "Host", "-");
	rule("Host", "Client", "w");
	server = server_at("_", family(), "127.9.9.9");
	fd = socket_as("Client", family());
	FAILS(try_connect(fd, "127.9.9.9", port), EACCES);
	rule("Client", "Host", "w");
	seen = capture();
	OK(try_connect(fd, "127.9.9.9", port));
	pair.fd = fd;
	pair.peer = accept_one(server);
	works(pair);
	EQ_BITS(labelled(seen, &none, &none), SYN | ACK | 8);
}

/* A socket of IPv6 that talks IPv4: labelled where it is accepted. */
static void mapped(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct wire client, server_wire;
	union address place;
	int server, seen;
	struct pair pair;

	world(19);
	rules("w", "w");
	client = wire_of("Client");
	server_wire = wire_of("Server");
	seen = capture();
	server = socket_as("Server", family());
	place = wildcard(++port);
	OK(bind_to(server, &place));
	OK(listen(server, 8));
	become("Client");
	pair.fd = OK(socket(AF_INET, SOCK_STREAM, 0));
	to.sin_port = htons(port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	OK(connect(pair.fd, (void *)&to, sizeof(to)));
	pair.peer = accept_one(server);
	works(pair);
	peer_label_is(pair.peer, "Client");
	EQ_BITS(labelled(seen, &client, &server_wire), SYN | ACK | 8);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE_V4(on_the_wire),
		CASE_V4(long_label),
		CASE_V4(floor_is_bare),
		CASE_V4(resets),
		CASE_V4(in_time_wait),
		CASE_V4(answers_to_syns),
		CASE_V4(fast_open),
		CASE_V4(room_for_label),
		CASE_V4(set_on_socket),
		CASE_V4(labelled_host),
		CASE_V6(mapped),
	};

	return RUN_CASES(cases);
}
