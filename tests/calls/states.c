// SPDX-License-Identifier: GPL-2.0
/*
 * Every call in every state. states.expected has a paragraph for each state:
 * its name, the events that poll tells and the name that TCP_INFO has for it;
 * then for each call what it returns when it is made once and then once more
 * (one word where that is the same), and the events and the state afterwards
 * where they are others. The file says what AF_INET does; DUMP=1 prints it.
 */
#define _GNU_SOURCE
#include "states.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>

#define EXPECTED	"tests/calls/states.expected"

/* The socket under test. */
static int fd;

/* ---- The calls ---- */

/* For connect(): somebody who answers. */
static union address destination(void)
{
	static union address address;
	static int server = -1;

	if (server < 0)
		server = listener_of(peer_family(), 4096, &address);
	return address;
}

static long call_bind(void)
{
	union address address = loopback(0);

	return bind_to(fd, &address);
}

static long call_listen(void)
{
	return listen(fd, 4);
}

static long call_connect(void)
{
	union address address = destination();
	long result = connect_to(fd, &address);

	/* The handshake ends before the next call. */
	if (result < 0 && errno == EINPROGRESS) {
		poll_for(fd, POLLOUT, 300);
		errno = EINPROGRESS;
	}
	return result;
}

static long call_connect_short(void)
{
	union address address = destination();

	return connect(fd, &address.any, 8);
}

static long call_connect_family(void)
{
	union address address = destination();

	socklen_t length = length_of(&address);

	address.any.sa_family = AF_UNIX;
	return connect(fd, &address.any, length);
}

static long call_disconnect(void)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	return connect(fd, &none, sizeof(none));
}

static long call_accept(void)
{
	return accept(fd, NULL, NULL) < 0 ? -1 : 0;
}

/* 0: no port, 1: one. */
static long call_getsockname(void)
{
	union address address;
	socklen_t length = sizeof(address);

	if (getsockname(fd, &address.any, &length) < 0)
		return -1;
	return port_of(address) != 0;
}

static long call_getpeername(void)
{
	union address address;
	socklen_t length = sizeof(address);

	if (getpeername(fd, &address.any, &length) < 0)
		return -1;
	return port_of(address) != 0;
}

/* SO_PEERNAME asks in another way. */
static long call_peer_option(void)
{
	union address address = loopback(0);
	socklen_t length = length_of(&address);

	return getsockopt(fd, SOL_SOCKET, 28, &address, &length);
}

static long call_send(void)
{
	return send(fd, "x", 1, MSG_NOSIGNAL);
}

static long call_send_nothing(void)
{
	return send(fd, "x", 0, MSG_NOSIGNAL);
}

static long call_send_bad(void)
{
	return send(fd, (void *)8, 1, MSG_NOSIGNAL);
}

static long call_send_urgent(void)
{
	return send(fd, "x", 1, MSG_NOSIGNAL | MSG_OOB);
}

static long call_recv(void)
{
	char byte;

	return recv(fd, &byte, 1, 0);
}

static long call_recv_more(void)
{
	char bytes[100];

	return recv(fd, bytes, sizeof(bytes), 0);
}

static long call_recv_nothing(void)
{
	char byte;

	return recv(fd, &byte, 0, 0);
}

static long call_recv_bad(void)
{
	return recv(fd, (void *)8, 1, 0);
}

static long call_recv_peek(void)
{
	char bytes[100];

	return recv(fd, bytes, sizeof(bytes), MSG_PEEK);
}

static long call_recv_all(void)
{
	char bytes[100];

	return recv(fd, bytes, sizeof(bytes), MSG_WAITALL);
}

static long call_recv_drop(void)
{
	return recv(fd, NULL, 100, MSG_TRUNC);
}

static long call_recv_urgent(void)
{
	char byte;

	return recv(fd, &byte, 1, MSG_OOB);
}

static long call_recv_errors(void)
{
	char byte;

	return recv(fd, &byte, 1, MSG_ERRQUEUE);
}

static long call_splice(void)
{
	static int ends[2] = { -1, -1 };

	if (ends[0] < 0)
		OK(pipe2(ends, O_NONBLOCK));
	return splice(fd, NULL, ends[1], NULL, 100, SPLICE_F_NONBLOCK);
}

static long call_shut_read(void)
{
	return shutdown(fd, SHUT_RD);
}

static long call_shut_write(void)
{
	return shutdown(fd, SHUT_WR);
}

static long call_shut_both(void)
{
	return shutdown(fd, SHUT_RDWR);
}

static long call_shut_wrong(void)
{
	return shutdown(fd, 3);
}

static long request(unsigned long name)
{
	int value = -1;

	return ioctl(fd, name, &value) < 0 ? -1 : value;
}

static long call_inq(void)
{
	return request(SIOCINQ);
}

/*
 * How much a full buffer holds is another test's. Once disconnected, a socket
 * of AF_INET tells something, by chance.
 */
static long queued(unsigned long name)
{
	long bytes = request(name);

	if (tcp_state(fd) == STATE_CLOSE && call_peer_option() < 0)
		return 0;
	return bytes > 1000 ? 1000 : bytes;
}

static long call_outq(void)
{
	return queued(SIOCOUTQ);
}

static long call_outqnsd(void)
{
	return queued(SIOCOUTQNSD);
}

static long call_atmark(void)
{
	return request(SIOCATMARK);
}

static long call_error(void)
{
	return take_error(fd);
}

static long call_listens(void)
{
	return get_option(fd, SOL_SOCKET, SO_ACCEPTCONN);
}

#define CALL(name)	{ #name, call_##name }

static const struct {
	const char *name;
	long (*make)(void);
} calls[] = {
	CALL(bind),	CALL(listen),		CALL(connect),
	CALL(connect_short),	CALL(connect_family),	CALL(disconnect),
	CALL(accept),	CALL(getsockname),	CALL(getpeername),
	CALL(peer_option),	CALL(send),	CALL(send_nothing),
	CALL(send_bad),	CALL(send_urgent),	CALL(recv),
	CALL(recv_more),	CALL(recv_nothing),	CALL(recv_bad),
	CALL(recv_peek),	CALL(recv_all),	CALL(recv_drop),
	CALL(recv_urgent),	CALL(recv_errors),	CALL(splice),
	CALL(shut_read),	CALL(shut_write),	CALL(shut_both),
	CALL(shut_wrong),	CALL(inq),	CALL(outq),
	CALL(outqnsd),	CALL(atmark),		CALL(error),
	CALL(listens),
};

/* ---- Telling what happens ---- */

static const char *outcome(long value, char *text, size_t size)
{
	if (value < 0)
		return error_name(errno);
	snprintf(text, size, "%ld", value);
	return text;
}

/* The events by poll, which the other ways of asking must agree with. */
static short events(void)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP |
			  EPOLLRDNORM | EPOLLWRNORM | EPOLLRDBAND,
	};
	struct timeval now = { 0 };
	short polled = events_now(fd);
	fd_set sets[3];
	int epoll = OK(epoll_create1(0));
	int ready;

	OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	ready = OK(epoll_wait(epoll, &event, 1, 0));
	EQ_BITS(ready ? event.events : 0, polled);
	close(epoll);

	for (int i = 0; i < 3; i++) {
		FD_ZERO(&sets[i]);
		FD_SET(fd, &sets[i]);
	}
	OK(select(fd + 1, &sets[0], &sets[1], &sets[2], &now));
	EQ(!!FD_ISSET(fd, &sets[0]),
	   !!(polled & (POLLIN | POLLRDNORM | POLLHUP | POLLERR)));
	EQ(!!FD_ISSET(fd, &sets[1]),
	   !!(polled & (POLLOUT | POLLWRNORM | POLLERR)));
	EQ(!!FD_ISSET(fd, &sets[2]), !!(polled & POLLPRI));
	return polled;
}

static void name_events(char *text, size_t size)
{
	static const struct {
		short bit;
		const char *name;
	} names[] = {
		{ POLLIN, "IN" },	{ POLLRDNORM, "RDNORM" },
		{ POLLOUT, "OUT" },	{ POLLWRNORM, "WRNORM" },
		{ POLLPRI, "PRI" },	{ POLLRDHUP, "RDHUP" },
		{ POLLHUP, "HUP" },	{ POLLERR, "ERR" },
		{ POLLRDBAND, "RDBAND" },
	};
	short bits = events();

	*text = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!(bits & names[i].bit))
			continue;
		/* Each of these two pairs is one event with two names. */
		if (names[i].bit == POLLRDNORM || names[i].bit == POLLWRNORM) {
			CHECK(bits & names[i - 1].bit);
			continue;
		}
		if (*text)
			strncat(text, "+", size - strlen(text) - 1);
		strncat(text, names[i].name, size - strlen(text) - 1);
	}
	if (!*text)
		strncat(text, "none", size - 1);
}

static const char *name_state(int state)
{
	static const char *const names[] = {
		"?", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1",
		"FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
		"LISTEN", "CLOSING",
	};

	return state < 12 ? names[state] : "?";
}

/* What is told where it is the same as before the calls. */
static char before[100];

static void tell_state(char *text, size_t size)
{
	char bits[80];

	name_events(bits, sizeof(bits));
	snprintf(text, size, "%s %s", bits, name_state(tcp_state(fd)));
}

struct result {
	char values[40];
	char after[100];
};

static void make_call(size_t call, struct result *result)
{
	char first[20], second[20];
	const char *one, *two;

	errno = 0;
	one = outcome(calls[call].make(), first, sizeof(first));
	errno = 0;
	two = outcome(calls[call].make(), second, sizeof(second));
	snprintf(result->values, sizeof(result->values),
		 strcmp(one, two) == 0 ? "%s" : "%s %s", one, two);
	/* For the peer to answer; later runs look until they see it. */
	if (getenv("DUMP"))
		sleep_ms(400);
	tell_state(result->after, sizeof(result->after));
}

static void write_entry(char *text, size_t size, size_t call,
			const struct result *result)
{
	if (strcmp(result->after, before) == 0)
		snprintf(text, size, "%s %s", calls[call].name, result->values);
	else
		snprintf(text, size, "%s %s -> %s", calls[call].name,
			 result->values, result->after);
}

/* ---- What is expected ---- */

/* The paragraph of the state, its entries separated by newlines. */
static char *expected_of(const char *state)
{
	static char text[65536];
	size_t length = strlen(state);
	FILE *file = fopen(EXPECTED, "r");
	char *line;

	if (!file)
		FAIL("%s: %s", EXPECTED, error_name(errno));
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	for (line = text; line; line = strstr(line, "\n\n")) {
		char *end;

		line += strspn(line, "\n");
		if (strncmp(line, state, length) || line[length] != ':')
			continue;
		end = strstr(line, "\n\n");
		if (end)
			*end = 0;
		for (char *c = line; *c; c++)
			if (*c == ';')
				*c = '\n';
		return line;
	}
	FAIL("nothing is expected in state %s", state);
}

static bool is_expected(const char *paragraph, const char *entry)
{
	size_t length = strlen(entry);

	for (const char *line = paragraph; line; line = strchr(line, '\n')) {
		line += strspn(line, "\n ");
		if (strncmp(line, entry, length) == 0 &&
		    (line[length] == '\n' || !line[length]))
			return true;
	}
	return false;
}

static void print_wanted(const char *paragraph, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = paragraph; line; line = strchr(line, '\n')) {
		line += strspn(line, "\n ");
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			printf("#   expected: %.*s\n",
			       (int)strcspn(line, "\n"), line);
	}
}

static void dump(const char *entry)
{
	static size_t column;

	if (column && column + strlen(entry) > 96) {
		printf("\n");
		column = 0;
	}
	column += printf("%s%s", column ? "; " : "", entry);
}

static void every_call(void)
{
	const struct state *state = states;
	const char *paragraph;
	bool failed = false;
	char entry[200];

	while (strcmp(state->name, case_name()) != 0)
		state++;
	paragraph = getenv("DUMP") ? NULL : expected_of(state->name);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct scene scene = make_scene(state);
		struct result result;

		fd = scene.fd;
		set_nonblocking(fd, true);
		tell_state(before, sizeof(before));
		snprintf(entry, sizeof(entry), "%s: %s", state->name, before);
		if (i == 0 && !paragraph)
			printf("%s\n", entry);
		if (paragraph && !is_expected(paragraph, entry))
			FAIL("%s", entry);

		make_call(i, &result);
		write_entry(entry, sizeof(entry), i, &result);
		/* Perhaps the peer has not answered yet. */
		for (int wait = 0; paragraph && wait < 50; wait++) {
			if (is_expected(paragraph, entry))
				break;
			sleep_ms(10);
			tell_state(result.after, sizeof(result.after));
			write_entry(entry, sizeof(entry), i, &result);
		}
		if (!paragraph) {
			dump(entry);
		} else if (!is_expected(paragraph, entry)) {
			printf("# %s\n", entry);
			print_wanted(paragraph, calls[i].name);
			failed = true;
		}
		end_scene(&scene);
	}
	if (!paragraph)
		printf("\n\n");
	if (failed)
		FAIL("not as expected");
}

int main(void)
{
	struct test_case cases[100];

	CHECK(state_count <= 100);
	for (size_t i = 0; i < state_count; i++)
		cases[i] = (struct test_case)SLOW_CASE(every_call, 120);
	for (size_t i = 0; i < state_count; i++)
		cases[i].name = states[i].name;
	return run_cases(cases, state_count);
}
