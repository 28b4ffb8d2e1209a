// SPDX-License-Identifier: GPL-2.0
/*
 * What Documentation/options.toml says of each option, held against Linux and
 * against us. What the table cannot say (all values, lengths and states) the
 * program sweep compares.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <limits.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

enum kind { NEVER, INTEGER, BOOLEAN, OTHER, REFUSED };

struct row {
	const char *name;
	int level;
	int number;
	enum kind set;
	enum kind get;
	int set_errno;
	int get_errno;
	bool has_range;
	int least;
	int most;
	bool or_zero;
	bool only_unconnected;
	bool only_closed;
	bool has_default;
	int initial;
	bool has_trial;
	int trial;
	int reads;
	bool inherited;
	bool lacking;	/* of ours alone */
};

#include "options_table.h"

#define ROWS	(sizeof(rows) / sizeof(rows[0]))

/* Linux has what we lack, so the table says nothing of it there. */
static bool concerns(const struct row *row)
{
	return !row->lacking || ours();
}

static int set_value(int fd, const struct row *row, int value)
{
	return setsockopt(fd, row->level, row->number, &value, sizeof(value));
}

static void expect(const struct row *row, const char *what, long actual,
		   long expected)
{
	if (actual != expected)
		FAIL("%s: %s: %ld, not %ld (errno %s)", row->name, what,
		     actual, expected, error_name(errno));
}

static void expect_error(const struct row *row, const char *what, int value,
			 int error)
{
	if (value != -1 || errno != error)
		FAIL("%s: %s: %d %s, not %s", row->name, what, value,
		     error_name(errno), error_name(error));
}

static int read_value(int fd, const struct row *row)
{
	socklen_t length = sizeof(int);
	int value = -1;

	errno = 0;
	expect(row, "get", getsockopt(fd, row->level, row->number, &value,
				      &length), 0);
	expect(row, "its length", length, sizeof(value));
	return value;
}

static void defaults(void)
{
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		if (row->has_default && concerns(row))
			expect(row, "default", read_value(make_socket(0), row),
			       row->initial);
	}
}

static void ranges(void)
{
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		int fd = make_socket(0);

		if (!row->has_range || !concerns(row))
			continue;
		expect(row, "least", set_value(fd, row, row->least), 0);
		expect(row, "most", set_value(fd, row, row->most), 0);
		if (row->least != INT_MIN && !(row->or_zero && row->least == 1))
			expect_error(row, "less",
				     set_value(fd, row, row->least - 1),
				     EINVAL);
		if (row->most != INT_MAX)
			expect_error(row, "more",
				     set_value(fd, row, row->most + 1),
				     EINVAL);
		if (row->or_zero)
			expect(row, "zero", set_value(fd, row, 0), 0);
		close(fd);
	}
}

static void round_trips(void)
{
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		int fd = make_socket(0);

		if (!row->has_trial || !concerns(row))
			continue;
		expect(row, "set", set_value(fd, row, row->trial), 0);
		expect(row, "value", read_value(fd, row), row->reads);
		if (row->set == BOOLEAN) {
			expect(row, "set", set_value(fd, row, -7), 0);
			expect(row, "value", read_value(fd, row), 1);
		}
		close(fd);
	}
}

static void refusals(void)
{
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		struct pair pair = make_pair();
		int fds[] = { make_socket(0), pair.fd, pair.peer };
		char room[64];

		for (int i = 0; i < 3 && concerns(row); i++) {
			socklen_t length = sizeof(room);

			if (row->set == NEVER)
				expect_error(row, "set",
					     set_value(fds[i], row, 1),
					     ENOPROTOOPT);
			if (row->set == REFUSED)
				expect_error(row, "set",
					     set_value(fds[i], row, 1),
					     row->set_errno);
			if (row->get == NEVER)
				expect_error(row, "get",
					     getsockopt(fds[i], row->level,
							row->number, room,
							&length),
					     ENOPROTOOPT);
			if (row->get == REFUSED)
				expect_error(row, "get",
					     getsockopt(fds[i], row->level,
							row->number, room,
							&length),
					     row->get_errno);
		}
		for (int i = 0; i < 3; i++)
			close(fds[i]);
	}
}

static void states(void)
{
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		struct pair pair = make_pair();

		if (row->only_unconnected || row->only_closed) {
			expect_error(row, "connected",
				     set_value(pair.fd, row, row->trial),
				     EINVAL);
			expect_error(row, "accepted",
				     set_value(pair.peer, row, row->trial),
				     EINVAL);
		}
		close(pair.fd);
		close(pair.peer);
	}
}

/* What a listener has, set before or after listen, its connections have. */
static void inheritance(void)
{
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		for (int late = 0; late < 2; late++) {
			union address address = loopback(0);
			int server = make_socket(0);
			int client = make_socket_of(peer_family(), 0);
			int child;

			if (!row->inherited || !concerns(row) ||
			    (late && row->only_closed))
				continue;
			if (!late)
				expect(row, "set",
				       set_value(server, row, row->trial), 0);
			OK(bind_to(server, &address));
			OK(listen(server, 1));
			address = local_of(server);
			if (late)
				expect(row, "set",
				       set_value(server, row, row->trial), 0);
			OK(connect_to(client, &address));
			child = accept_one(server);
			expect(row, "of the child", read_value(child, row),
			       row->reads);
			linger_zero(child);
			close(child);
			close(client);
			close(server);
		}
	}
}

static void lengths(void)
{
	static const int shorter[] = { 0, 1, 2, 3 };
	int fd = make_socket(0);

	for (const struct row *row = rows; row < rows + ROWS; row++) {
		socklen_t length = -1;
		int value = row->trial;
		char room[300];

		if (!concerns(row))
			continue;
		for (int i = 0; i < 4 && row->set != OTHER &&
		     row->level == IPPROTO_TCP; i++)
			expect_error(row, "short",
				     setsockopt(fd, row->level, row->number,
						&value, shorter[i]), EINVAL);
		expect_error(row, "negative",
			     getsockopt(fd, row->level, row->number, room,
					&length), EINVAL);
		if (row->get != INTEGER && row->get != BOOLEAN)
			continue;
		value = read_value(fd, row);
		for (length = 0; length < 4; length++) {
			socklen_t told = length;

			memset(room, 0x5a, sizeof(room));
			expect(row, "cut", getsockopt(fd, row->level,
						      row->number, room, &told),
			       0);
			if (row->number == TCP_TIMESTAMP)
				continue;
			/* One byte of some, at level IP, is all of it. */
			if (row->level != IPPROTO_TCP)
				continue;
			expect(row, "its length", told, length);
			expect(row, "its bytes", memcmp(room, &value, length),
			       0);
			expect(row, "what follows", room[length], 0x5a);
		}
		length = sizeof(room);
		expect_error(row, "no memory",
			     getsockopt(fd, row->level, row->number, (void *)8,
					&length), EFAULT);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(defaults),		CASE(ranges),
		CASE(round_trips),	CASE(refusals),
		CASE(states),		CASE(inheritance),
		CASE(lengths),
	};

	return RUN_CASES(cases);
}
