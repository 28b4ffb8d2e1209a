/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of rules share: a rule is set with the tool that
 * administrators use, and connections are tried against it. Addresses are
 * told as text, so that a case is the same for IPv4 and IPv6.
 */
#ifndef TESTS_POLICY_H
#define TESTS_POLICY_H

#include "harness.h"

#define PORT	4000
#define PORT2	4001

/* This host, the near and the far end of a link (see make_link). */
const char *here(void);
const char *near(void);
const char *far(void);
/* "ip" or "ip6", as nft and ip name what is tested. */
const char *ip_word(void);
union address at(const char *address, uint16_t port);

/*
 * A network namespace of the case's own, where connections that a rule has
 * cut off are given up soon after the case.
 */
void own_world(void);

/* A link whose far end has a listener at PORT. */
struct link make_served_link(int *server);
/* A socket that listens at every address, or at one. */
int serve(uint16_t port);
int serve_at(const char *address, uint16_t port);
int try_connect(int fd, const char *address, uint16_t port);
int open_to(const char *address, uint16_t port);
/* A socket that gives up after two seconds without an answer. */
int impatient(void);
/* The same, with an address and a port of its own. */
int bound_to(const char *address, uint16_t port);
/* connect() ends with this error, which is reported at once or later. */
void refused(const char *address, uint16_t port, int error);
/* Nothing answers. */
void unanswered(const char *address, uint16_t port);
/* A connection is made and bytes go both ways. */
struct pair connected(int server, const char *address, uint16_t port);
void works(struct pair pair);
/* What is sent, a byte, does not come through; it does later. */
void stuck(int from, int to);
void unstuck(int to);
void close_pair(struct pair pair);

/* The packets that nft's named counter in "table inet t" has seen. */
long count_of(const char *counter);
/* An empty table "inet t" with chains in, out, pre and post. */
void nft_table(void);
void nft(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a command prints, for the caller to free. */
char *output_of(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

#endif
