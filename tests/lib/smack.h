/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of a security module share: the rules and labels of Smack,
 * which the guest must have been booted with (lsm=smack).
 */
#ifndef TESTS_SMACK_H
#define TESTS_SMACK_H

#include "policy.h"

#define SMACKFS	"/sys/fs/smackfs"

void rule(const char *subject, const char *object, const char *access);
/* What clients may do to servers, and what the other way. */
void rules(const char *to_server, const char *to_client);
/* The label of this process, and of the sockets that it makes. */
void become(const char *label);

/*
 * Smack knows ports of IPv6 by number alone, for all namespaces together, and
 * for as long as there is a socket: each server has one of its own, this the
 * last.
 */
extern uint16_t port;

/* A world without rules; each case of a program has another number. */
void world(uint16_t number);

int socket_as(const char *label, int af);
int server_at(const char *label, int af, const char *address);
int server_as(const char *label, int af);
struct pair connect_as(const char *label, int af, int server);
void refused_as(const char *label, int error);

/* A server's and a client's family: at least one is that under test. */
struct ends {
	bool other_server;
	bool other_client;
};

extern const struct ends all_ends[3];

#define FOR_ALL_ENDS(ends)						\
	for (const struct ends *ends = all_ends; ends < all_ends + 3; ends++)

int server_family(const struct ends *ends);
int client_family(const struct ends *ends);

/* SO_PEERSEC says so. */
void peer_label_is(int fd, const char *label);
void attribute_is(int fd, const char *name, const char *label);

#endif
