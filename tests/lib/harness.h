/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C tests of the socket calls share.
 *
 * Each case runs in a process of its own, in a process group of its own, under
 * a deadline, so a case that fails or hangs takes nothing with it. The
 * environment says what is tested:
 *
 *   FAMILY=inet|inet6|oxtcp|oxtcp6
 *                          the family under test; oxtcp6 is AF_OXTCP with the
 *                          protocol for IPv6
 *   PEER=same|other        the family at the other end of a pair (same):
 *                          Linux's or ours, of the same IP version
 *   ROLE=active|passive    whether the socket under test connects or is
 *                          accepted (active)
 *   CASES="NAME NAME"      only these cases of a program, the others of which
 *                          count as skipped
 *
 * A test is written once for both IP versions: its addresses are of type union
 * address and come from loopback(), wildcard(), second_local(), foreign(),
 * silent_host(), near_address() and far_address(), or from numeric() with one
 * text for each version; ports are told by port_of(), and EQ_HOST and
 * EQ_ADDRESS compare. In tests.toml its families are then all four. A case that
 * means something in one version only is declared so in the program's table:
 * CASE_V4(function), CASE_V6(function); elsewhere it counts as skipped.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/oxtcp.h>

/* TCP_INFO's tcpi_state. */
enum {
	STATE_ESTABLISHED = 1,
	STATE_SYN_SENT,
	STATE_SYN_RECV,
	STATE_FIN_WAIT1,
	STATE_FIN_WAIT2,
	STATE_TIME_WAIT,
	STATE_CLOSE,
	STATE_CLOSE_WAIT,
	STATE_LAST_ACK,
	STATE_LISTEN,
	STATE_CLOSING,
};

struct test_case {
	const char *name;
	void (*run)(void);
	unsigned int deadline;	/* seconds, 0: the default */
	int version;		/* of IP, 0: both */
};

#define CASE(function)			{ #function, function, 0, 0 }
#define CASE_V4(function)		{ #function, function, 0, 4 }
#define CASE_V6(function)		{ #function, function, 0, 6 }
#define SLOW_CASE(function, seconds)	{ #function, function, seconds, 0 }
#define RUN_CASES(cases)	\
	run_cases(cases, sizeof(cases) / sizeof((cases)[0]))

int run_cases(const struct test_case *cases, size_t count);
/* The case that runs. */
const char *case_name(void);

/* Ends the case. */
void fail_at(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));
void skip(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));
const char *error_name(int error);

#define FAIL(...)	fail_at(__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(condition)						\
	do {								\
		if (!(condition))					\
			FAIL("not so: %s (errno %s)", #condition,	\
			     error_name(errno));			\
	} while (0)

/* The call succeeds; its value. */
#define OK(call)							\
	({								\
		long ok_value = (long)(call);				\
									\
		if (ok_value < 0)					\
			FAIL("%s: %s", #call, error_name(errno));	\
		ok_value;						\
	})

/* The call fails with just this error. */
#define FAILS(call, error)						\
	do {								\
		long fails_value;					\
									\
		errno = 0;						\
		fails_value = (long)(call);				\
		if (fails_value != -1)					\
			FAIL("%s: %ld, not %s", #call, fails_value,	\
			     error_name(error));			\
		if (errno != (error))					\
			FAIL("%s: %s, not %s", #call,			\
			     error_name(errno), error_name(error));	\
	} while (0)

#define EQ(actual, expected)						\
	do {								\
		long eq_actual, eq_expected;				\
									\
		errno = 0;						\
		eq_actual = (long)(actual);				\
		eq_expected = (long)(expected);				\
		if (eq_actual != eq_expected)				\
			FAIL("%s: %ld, not %ld (errno %s)", #actual,	\
			     eq_actual, eq_expected, error_name(errno)); \
	} while (0)

/* Like EQ, for sets of bits such as poll's events. */
#define EQ_BITS(actual, expected)					\
	do {								\
		unsigned long eq_actual = (unsigned long)(actual);	\
		unsigned long eq_expected = (unsigned long)(expected);	\
									\
		if (eq_actual != eq_expected)				\
			FAIL("%s: %#lx, not %#lx", #actual, eq_actual,	\
			     eq_expected);				\
	} while (0)

/* Value within [low, high]. */
#define BETWEEN(actual, low, high)					\
	do {								\
		long long in_actual = (long long)(actual);		\
		long long in_low = (long long)(low);			\
		long long in_high = (long long)(high);			\
									\
		if (in_actual < in_low || in_actual > in_high)		\
			FAIL("%s: %lld, not in %lld..%lld", #actual,	\
			     in_actual, in_low, in_high);		\
	} while (0)

/*
 * Families, as FAMILY names them. OXTCP6 is none that socket() knows: it is
 * AF_OXTCP with the protocol for IPv6.
 */
#define OXTCP6	1000

int family(void);
/* Of the same IP version as family(). */
int peer_family(void);
int other_family(void);
bool role_passive(void);
/* What socket() takes for a family. */
int domain_of(int af);
int protocol_of(int af);
bool is_v6(int af);
/* Whether the family under test is. */
bool v6(void);
/* Whether the family under test is AF_OXTCP's, of either version. */
bool ours(void);

/*
 * Addresses, of the IP version of the family under test. A union's member any
 * is what the system calls take, length_of() its length.
 */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* One of two numeric addresses, which play the same part in a test. */
union address numeric(const char *v4_text, const char *v6_text, uint16_t port);
union address loopback(uint16_t port);
union address wildcard(uint16_t port);
/* Another address of this machine; in IPv6 made in the present namespace. */
union address second_local(uint16_t port);
/* One of the 254 for documentation, which are nobody's. */
union address foreign(unsigned int number, uint16_t port);
socklen_t length_of(const union address *address);
/* Ports are in the host's byte order. */
uint16_t port_of(union address address);
void set_port(union address *address, uint16_t port);
/* Numeric, without the port; good for three calls more. */
const char *host_text(union address address);
bool same_host(union address one, union address other);
/* All is the same: port, scope, what is unused. */
bool same_address(union address one, union address other);

#define EQ_HOST(actual, expected)					\
	do {								\
		union address eq_actual = (actual);			\
		union address eq_expected = (expected);			\
									\
		if (!same_host(eq_actual, eq_expected))			\
			FAIL("%s: %s, not %s", #actual,			\
			     host_text(eq_actual),			\
			     host_text(eq_expected));			\
	} while (0)

#define EQ_ADDRESS(actual, expected)					\
	do {								\
		union address eq_actual = (actual);			\
		union address eq_expected = (expected);			\
									\
		if (!same_address(eq_actual, eq_expected))		\
			FAIL("%s: %s port %d, not %s port %d", #actual,	\
			     host_text(eq_actual), port_of(eq_actual),	\
			     host_text(eq_expected),			\
			     port_of(eq_expected));			\
	} while (0)

/* Sockets; each helper ends the case when it cannot do its work. */
int make_socket(int flags);
int make_socket_of(int af, int flags);
union address local_of(int fd);
union address remote_of(int fd);
int bind_to(int fd, const union address *address);
int connect_to(int fd, const union address *address);
/* On the loopback address. */
int bound(int af, uint16_t port);
int listener_of(int af, int backlog, union address *address);
int listener(int backlog, union address *address);
int accept_one(int fd);
/*
 * Below the ephemeral ports: a socket that gets just the port it connects to
 * is connected to itself.
 */
uint16_t unused_port(void);

/*
 * A connection over the loopback device: the socket under test and its peer.
 * With buffer sizes other than 0, both ends get them before the handshake.
 */
struct pair {
	int fd;
	int peer;
};

struct pair make_pair(void);
struct pair make_pair_with(int sndbuf, int rcvbuf);
/* One socket listens here until the other has connected to it. */
struct pair join_sockets(int server, int client, union address address);

int get_option(int fd, int level, int name);
void set_option(int fd, int level, int name, int value);
/* Of SOL_IP or SOL_IPV6, by the family under test. */
void set_ip_option(int fd, int v4_name, int v6_name, int value);
/* close() is to reset the connection. */
void linger_zero(int fd);
int take_error(int fd);
int tcp_state(int fd);
void await_state(int fd, int state);
void set_nonblocking(int fd, bool on);

/* Waits up to so many milliseconds; the events that came, 0 if none did. */
short poll_for(int fd, short events, int timeout);
/* What poll reports at once. */
short events_now(int fd);

#define POLL_ALL	(POLLIN | POLLOUT | POLLPRI | POLLRDHUP | \
			 POLLRDNORM | POLLWRNORM | POLLRDBAND)

void send_all(int fd, const void *data, size_t length);
void recv_all(int fd, void *data, size_t length);
/* The peer has sent FIN and nothing else. */
void expect_end(int fd);
/* Sends until a non-blocking socket takes no more; how much that was. */
size_t fill(int fd);

/* The byte of the test pattern at this place of a stream. */
void pattern_fill(void *data, uint64_t offset, size_t length);
void pattern_check(const void *data, uint64_t offset, size_t length);
void send_pattern(int fd, uint64_t offset, size_t length);
void recv_pattern(int fd, uint64_t offset, size_t length);

/* Other processes of the case; they end with it. */
pid_t start(void (*run)(void *argument), void *argument);
void finish(pid_t child);

/* How many times slower than others the guest is. */
unsigned int slowness(void);
/*
 * So many, or octets: in a slow guest as many fewer. For what a case does again
 * and again, which the other guests do to the full, never for what it looks at.
 */
unsigned long fewer(unsigned long count);

void sleep_ms(unsigned int milliseconds);
long long now_ms(void);
/* Calls SIGALRM's empty handler after so many milliseconds. */
void interrupt_after(unsigned int milliseconds, int flags);

/* Runs a shell command in the calling process's network namespace. */
void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
void write_file(const char *path, const char *text);
/* Of those under /proc/sys/net/. */
void write_setting(const char *name, const char *value);

/*
 * Network namespaces live as long as a descriptor of theirs, so nothing of
 * them is left when the case ends.
 */
void own_netns(void);
int new_netns(void);
void enter_netns(int netns);
/*
 * A namespace of its own with a host that never answers: that one's address,
 * and the one from which the namespace sends to it.
 */
union address silent_host(void);
union address silent_source(uint16_t port);

/*
 * Two namespaces joined by a veth pair; with netem's words, if not NULL, on
 * both ends. The calling process is in the near one afterwards.
 */
#define NEAR	"10.1.0.1"
#define FAR	"10.1.0.2"
#define NEAR6	"fd01::1"
#define FAR6	"fd01::2"

union address near_address(uint16_t port);
union address far_address(uint16_t port);

struct link {
	int near;
	int far;
};

struct link make_link(const char *netem);
void change_link(const struct link *link, const char *netem);
/* Like make_pair: the socket under test near, its peer far. */
struct pair make_pair_over(const struct link *link);

#endif
