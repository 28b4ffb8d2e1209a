// SPDX-License-Identifier: GPL-2.0
/*
 * What the rules of a security module (Smack) do to connections. Over IPv4 the
 * label of each packet is compared with that of the socket that it comes to.
 * Over IPv6 Smack compares the labels of socket and port when a local
 * connection is asked for.
 */
#define _GNU_SOURCE
#include "smack.h"

/* Those of one label are among themselves; so are those of none. */
static void one_label(void)
{
	struct pair pair;
	int server;

	world(1);
	FOR_ALL_ENDS(ends) {
		server = server_as("Talker", server_family(ends));
		pair = connect_as("Talker", client_family(ends), server);
		works(pair);
		close_pair(pair);
		close(server);
	}
	server = server_as("_", family());
	works(connect_as("_", family(), server));
}

static void without_rule(void)
{
	int server;

	world(2);
	server = server_as("Server", family());
	refused_as("Client", v6() ? EACCES : EHOSTUNREACH);
	/* Only to packets with a label there is an answer. */
	refused_as("_", v6() ? EACCES : ETIMEDOUT);
	EQ_BITS(events_now(server), 0);
	/* Nor where only the other end is of our family. */
	close(server);
	server = server_as("Server", other_family());
	refused_as("Client", v6() ? EACCES : EHOSTUNREACH);
	EQ_BITS(events_now(server), 0);
}

/* The rule for one direction alone. */
static void one_way(void)
{
	int server;

	world(3);
	server = server_as("Server", family());
	rules("-", "w");
	refused_as("Client", v6() ? EACCES : EHOSTUNREACH);
	rules("r", "w");
	refused_as("Client", v6() ? EACCES : EHOSTUNREACH);
	rules("w", "-");
	if (v6()) {
		works(connect_as("Client", family(), server));
	} else {
		refused_as("Client", ETIMEDOUT);
		EQ_BITS(events_now(server), 0);
	}
}

/* What Smack says of "_" is no more than of another. */
static void one_way_to_floor(void)
{
	int server;

	world(4);
	rule("Client", "_", "-");
	rule("_", "Client", "w");
	server = server_as("_", family());
	refused_as("Client", v6() ? EACCES : EHOSTUNREACH);
	rule("Client", "_", "w");
	works(connect_as("Client", family(), server));
}

static void both_ways(void)
{
	struct pair pair;
	int server;

	world(5);
	rules("w", "w");
	FOR_ALL_ENDS(ends) {
		server = server_as("Server", server_family(ends));
		pair = connect_as("Client", client_family(ends), server);
		works(pair);
		close_pair(pair);
		close(server);
	}
}

/* A rule that is taken away stops a connection until it is back. */
static void rule_taken_away(void)
{
	struct pair pair;

	world(6);
	rules("w", "w");
	pair = connect_as("Client", family(), server_as("Server", family()));
	works(pair);
	rules("-", "w");
	stuck(pair.fd, pair.peer);
	rules("w", "w");
	unstuck(pair.peer);
	rules("w", "-");
	stuck(pair.peer, pair.fd);
	rules("w", "w");
	unstuck(pair.fd);
	works(pair);
}

/*
 * SO_PEERSEC of either end. What it tells of an accepted socket of IPv6 Linux
 * takes from a field that nobody has set.
 */
static void peer_label(void)
{
	struct pair pair;
	int server;

	world(7);
	rules("w", "w");
	FOR_ALL_ENDS(ends) {
		server = server_as("Server", server_family(ends));
		peer_label_is(server, "");
		pair = connect_as("Client", client_family(ends), server);
		if (!v6())
			peer_label_is(pair.peer, "Client");
		peer_label_is(pair.fd, v6() ? "Server" : "");
		peer_label_is(server, "");
		close_pair(pair);
		close(server);
	}
	server = server_as("_", family());
	pair = connect_as("_", family(), server);
	if (!v6())
		peer_label_is(pair.peer, "_");
	peer_label_is(pair.fd, v6() ? "_" : "");
}

/* Neither who accepts nor who was the last to connect makes a difference. */
static void peer_label_of_each(void)
{
	static const char *const clients[] = { "Client", "Talker", "Client", "_" };
	struct pair pairs[4];
	int server;

	world(8);
	rules("w", "w");
	for (size_t i = 0; i < 4; i++) {
		rule(clients[i], "Server", "w");
		rule("Server", clients[i], "w");
	}
	server = server_as("Server", family());
	for (size_t i = 0; i < 4; i++) {
		pairs[i].fd = socket_as(clients[i], family());
		OK(try_connect(pairs[i].fd, here(), port));
	}
	become("Talker");
	for (size_t i = 0; i < 4; i++)
		pairs[i].peer = accept_one(server);
	for (size_t i = 0; i < 4; i++) {
		peer_label_is(pairs[i].peer, clients[i]);
		attribute_is(pairs[i].peer, "security.SMACK64IPOUT", "Server");
		works(pairs[i]);
	}
}

/* An accepted socket has the labels of the listener, not of who accepts. */
static void inherited(void)
{
	struct pair pair;
	int server;

	world(9);
	rules("w", "w");
	server = server_as("Server", family());
	pair = connect_as("Client", family(), server);
	attribute_is(server, "security.SMACK64IPIN", "Server");
	attribute_is(server, "security.SMACK64IPOUT", "Server");
	attribute_is(pair.peer, "security.SMACK64IPIN", "Server");
	attribute_is(pair.peer, "security.SMACK64IPOUT", "Server");
	attribute_is(pair.fd, "security.SMACK64IPIN", "Client");
	attribute_is(pair.fd, "security.SMACK64IPOUT", "Client");
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(one_label),
		CASE(without_rule),
		CASE(one_way),
		CASE(one_way_to_floor),
		CASE(both_ways),
		CASE_V4(rule_taken_away),
		CASE(peer_label),
		CASE_V4(peer_label_of_each),
		CASE(inherited),
	};

	return RUN_CASES(cases);
}
