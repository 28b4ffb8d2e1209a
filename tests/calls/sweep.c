// SPDX-License-Identifier: GPL-2.0
/*
 * Every number of an option, known or not, with every kind of value and length,
 * in every state of a socket: ours and Linux's own answer the same, errors and
 * values, call by call. What differs stands in the list of exceptions, with the
 * reason.
 *
 * FAMILY=inet compares Linux with itself: whatever is not the same twice belongs
 * on the list of what is not compared.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define ROOM	512
/* At once. */
#define OPTIONS	100

enum state {
	FRESH,
	BOUND,
	LISTENING,
	CONNECTING,
	CONNECTED,
	ACCEPTED,
	HALF_CLOSED,	/* we sent FIN */
	PEER_CLOSED,	/* the peer did */
	RESET,
	DISCONNECTED,
	STATES,
};

static const char *const state_names[STATES] = {
	"fresh", "bound", "listening", "connecting", "connected", "accepted",
	"half closed", "closed by the peer", "reset",
	"disconnected",
};

/* A socket in some state, and those that keep it there. */
struct subject {
	int fd;
	int peer;
};

static union address silent;

static struct subject make_subject(int af, enum state state)
{
	struct subject subject = { .fd = -1, .peer = -1 };
	union address address;
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int server;

	switch (state) {
	case FRESH:
		subject.fd = make_socket_of(af, 0);
		return subject;
	case BOUND:
		subject.fd = bound(af, 0);
		return subject;
	case LISTENING:
		subject.fd = listener_of(af, 3, &address);
		return subject;
	case CONNECTING:
		subject.fd = make_socket_of(af, SOCK_NONBLOCK);
		FAILS(connect_to(subject.fd, &silent), EINPROGRESS);
		return subject;
	default:
		break;
	}
	server = listener_of(af, 3, &address);
	subject.fd = make_socket_of(af, 0);
	OK(connect_to(subject.fd, &address));
	subject.peer = accept_one(server);
	close(server);
	switch (state) {
	case ACCEPTED:
		server = subject.fd;
		subject.fd = subject.peer;
		subject.peer = server;
		break;
	case HALF_CLOSED:
		OK(shutdown(subject.fd, SHUT_WR));
		break;
	case PEER_CLOSED:
		OK(shutdown(subject.peer, SHUT_WR));
		break;
	case RESET:
		linger_zero(subject.peer);
		close(subject.peer);
		subject.peer = -1;
		break;
	case DISCONNECTED:
		OK(connect(subject.fd, &nobody, sizeof(nobody)));
		EQ(take_error(subject.fd), ECONNRESET);
		break;
	default:
		break;
	}
	return subject;
}

/* The acknowledgment of a FIN may wait for a while. */
static void await_subject(const struct subject *subject, enum state state)
{
	if (state == HALF_CLOSED)
		await_state(subject->fd, STATE_FIN_WAIT2);
	else if (state == PEER_CLOSED)
		await_state(subject->peer, STATE_FIN_WAIT2);
	else if (state == RESET)
		await_state(subject->fd, STATE_CLOSE);
}

static void end_subject(struct subject *subject)
{
	/* Leaves nothing behind, whatever the options said. */
	linger_zero(subject->fd);
	close(subject->fd);
	if (subject->peer >= 0) {
		linger_zero(subject->peer);
		close(subject->peer);
	}
}

/* What a call said. */
struct answer {
	int error;
	socklen_t length;
	unsigned char bytes[ROOM];
};

struct option {
	int level;
	int number;
};

/* What is not to be the same, and why. */
enum { SETS = 1, GETS = 2, VALUES = 4 };

struct exception {
	struct option option;
	int what;
};

#include "sweep_exceptions.h"

static int excepted(struct option option)
{
	int what = 0;

	for (size_t i = 0; i < sizeof(exceptions) / sizeof(*exceptions); i++) {
		if (exceptions[i].option.level == option.level &&
		    exceptions[i].option.number == option.number)
			what |= exceptions[i].what;
	}
	return what;
}

static unsigned int differences;

static void report(struct option option, enum state state, const char *call,
		   const char *value, const struct answer *native,
		   const struct answer *ours)
{
	printf("# level %d option %d, %s: %s(%s): ", option.level,
	       option.number, state_names[state], call, value);
	printf("Linux %s length %u [%d], here %s length %u [%d]\n",
	       error_name(native->error), native->length,
	       *(const int *)native->bytes, error_name(ours->error),
	       ours->length, *(const int *)ours->bytes);
	fflush(stdout);
	differences++;
}

static struct answer ask(int fd, struct option option, socklen_t length)
{
	struct answer answer = { .length = length };

	memset(answer.bytes, 0xa5, sizeof(answer.bytes));
	if (getsockopt(fd, option.level, option.number, answer.bytes,
		       &answer.length))
		answer.error = errno;
	return answer;
}

static void compare_get(struct option option, enum state state,
			const struct subject *native,
			const struct subject *ours, socklen_t length,
			const char *after)
{
	int excuse = excepted(option);
	struct answer one, two;
	char text[120];

	if (excuse & GETS)
		return;
	one = ask(native->fd, option, length);
	two = ask(ours->fd, option, length);
	if (one.error == two.error && one.length == two.length &&
	    ((excuse & VALUES) ||
	     memcmp(one.bytes, two.bytes, sizeof(one.bytes)) == 0))
		return;
	snprintf(text, sizeof(text), "length %d after %s", (int)length, after);
	report(option, state, "get", text, &one, &two);
}

static void compare_set(struct option option, enum state state,
			const struct subject *native,
			const struct subject *ours, const void *value,
			socklen_t length, const char *what)
{
	struct answer one = { .length = length };
	struct answer two = { .length = length };

	if (excepted(option) & SETS)
		return;
	if (setsockopt(native->fd, option.level, option.number, value, length))
		one.error = errno;
	if (setsockopt(ours->fd, option.level, option.number, value, length))
		two.error = errno;
	if (one.error != two.error)
		report(option, state, "set", what, &one, &two);
	else if (one.error == 0)
		compare_get(option, state, native, ours, sizeof(int), what);
}

/* The first few in all states, the rest where most is allowed or forbidden. */
#define FEW	7

static const int integers[] = {
	0, 1, 2, -1, 1000, 20000, 0x7fffffff, 3, -2, 5, 48, 87, 88, 100, 119, 120, 121, 127, 128, 254,
	255, 256, 536, 999, 1151, 1152, 1153, 4000, 7999, 8000, 12000,
	32767, 32768, 65535, 65536, 120000, 120001, 199999, 200000,
	200001, 250000, 1 << 20, (1 << 28) - 1, 1 << 28, -0x7fffffff - 1,
};

static const char *const strings[] = {
	"reno", "cubic", "none-such", "tls", "lo", "c", "",
	"a-name-that-is-longer-than-any-may-be",
};

/* Lengths that some option wants, or none. */
static const int lengths[] = { 1, 3, 8, 16, 12, 20, 32, 2, 40, 136, 216, 300 };

/* Whether Linux's own knows nothing of it: then nothing else is to be found. */
static bool is_unknown(int fd, struct option option)
{
	struct answer answer = ask(fd, option, ROOM);
	int value = 0;

	if (excepted(option) & SETS)
		return false;
	return answer.error == ENOPROTOOPT &&
	       setsockopt(fd, option.level, option.number, &value,
			  sizeof(value)) < 0 && errno == ENOPROTOOPT;
}

static void sweep_option(struct option option, enum state state,
			 const struct subject *native,
			 const struct subject *ours)
{
	static const unsigned char zeros[ROOM];
	static unsigned char ones[ROOM];
	bool all = state == FRESH || state == LISTENING || state == CONNECTED;
	char text[80];

	memset(ones, 1, sizeof(ones));
	compare_get(option, state, native, ours, ROOM, "nothing");
	compare_get(option, state, native, ours, -1, "nothing");
	compare_set(option, state, native, ours, zeros, 4, "0");
	if (is_unknown(native->fd, option))
		return;
	compare_get(option, state, native, ours, 0, "nothing");
	compare_get(option, state, native, ours, 1, "nothing");
	compare_get(option, state, native, ours, 3, "nothing");
	compare_get(option, state, native, ours, 4, "nothing");
	compare_get(option, state, native, ours, 8, "nothing");
	compare_get(option, state, native, ours, 20, "nothing");
	compare_set(option, state, native, ours, NULL, 0, "no value");
	compare_set(option, state, native, ours, NULL, 4, "no memory");
	compare_set(option, state, native, ours, (void *)8, 16, "no memory");
	compare_set(option, state, native, ours, ones, 0, "length 0");
	compare_set(option, state, native, ours, ones, -1, "length -1");
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		if (!all && i >= FEW)
			break;
		snprintf(text, sizeof(text), "%d ones", lengths[i]);
		compare_set(option, state, native, ours, ones, lengths[i],
			    text);
		snprintf(text, sizeof(text), "%d zeros", lengths[i]);
		compare_set(option, state, native, ours, zeros, lengths[i],
			    text);
	}
	for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++)
		compare_set(option, state, native, ours, strings[i],
			    strlen(strings[i]) + 1, strings[i]);
	for (size_t i = 0; i < sizeof(integers) / sizeof(*integers); i++) {
		if (!all && i >= FEW)
			break;
		snprintf(text, sizeof(text), "%d", integers[i]);
		compare_set(option, state, native, ours, &integers[i],
			    sizeof(int), text);
	}
	compare_get(option, state, native, ours, ROOM, "all");
}

static int linux_family(void)
{
	return v6() ? AF_INET6 : AF_INET;
}

/* All options of a level in one state: what has to wait waits together. */
static void sweep_state(int level, int first, int last, enum state state)
{
	struct subject native[OPTIONS];
	struct subject ours[OPTIONS];

	CHECK(last - first < OPTIONS);
	for (int i = 0; i <= last - first; i++) {
		native[i] = make_subject(linux_family(), state);
		ours[i] = make_subject(family(), state);
	}
	for (int i = 0; i <= last - first; i++) {
		struct option option = { .level = level, .number = first + i };

		await_subject(&native[i], state);
		await_subject(&ours[i], state);
		sweep_option(option, state, &native[i], &ours[i]);
		end_subject(&native[i]);
		end_subject(&ours[i]);
	}
}

static void sweep(int level, int first, int last)
{
	silent = silent_host();
	for (int state = FRESH; state < STATES; state++)
		sweep_state(level, first, last, state);
	EQ(differences, 0);
}

static void level_tcp(void)
{
	sweep(IPPROTO_TCP, 0, 50);
}

static void level_socket(void)
{
	sweep(SOL_SOCKET, 0, 90);
}

static void level_ip(void)
{
	sweep(IPPROTO_IP, 0, 70);
}

static void level_ip_high(void)
{
	sweep(IPPROTO_IP, 80, 82);
	sweep(IPPROTO_IP, 199, 215);
}

static void level_ipv6(void)
{
	sweep(IPPROTO_IPV6, 0, 85);
}

static void other_levels(void)
{
	static const int levels[] = {
		2, IPPROTO_UDP, IPPROTO_RAW, 262, 263, 277, 282, 284, 285, -1,
		12345,
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++)
		sweep(levels[i], 1, 2);
}

/* Who loads modules, for the names of those that there are not. */
static void set_loader(const char *path, char *before, size_t room)
{
	int fd = OK(open("/proc/sys/kernel/modprobe", O_RDWR));
	ssize_t length = OK(read(fd, before, room - 1));

	before[length] = '\0';
	OK(lseek(fd, 0, SEEK_SET));
	OK(write(fd, path, strlen(path)));
	close(fd);
}

int main(void)
{
	static const struct test_case cases[] = {
		SLOW_CASE(level_tcp, 60),
		SLOW_CASE(level_socket, 60),
		SLOW_CASE(level_ip, 60),
		SLOW_CASE(level_ip_high, 60),
		SLOW_CASE(level_ipv6, 60),
		SLOW_CASE(other_levels, 60),
	};

	char loader[256], none[256];
	int result;

	set_loader("\n", loader, sizeof(loader));
	result = RUN_CASES(cases);
	set_loader(loader, none, sizeof(none));
	return result;
}
