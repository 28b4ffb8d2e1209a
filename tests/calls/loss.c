// SPDX-License-Identifier: GPL-2.0
/* Transfers both ways over links that lose, delay, reorder and duplicate. */
#define _GNU_SOURCE
#include "harness.h"

#include <stdio.h>

#define VOLUME	(2 << 20)

struct task {
	int fd;
	int other;
};

static void send_volume(void *argument)
{
	struct task *task = argument;

	close(task->other);
	send_pattern(task->fd, 0, VOLUME);
	OK(shutdown(task->fd, SHUT_WR));
	recv_pattern(task->fd, VOLUME, VOLUME / 4);
	expect_end(task->fd);
}

static void recv_volume(int fd)
{
	recv_pattern(fd, 0, VOLUME);
	expect_end(fd);
	send_pattern(fd, VOLUME, VOLUME / 4);
	OK(shutdown(fd, SHUT_WR));
}

/* One way, then the other on the half-closed connection, by both roles. */
static void transfer_over(const char *netem)
{
	struct link link = make_link(netem);
	long long before = now_ms();

	for (int near = 0; near < 2; near++) {
		struct pair pair = make_pair_over(&link);
		struct task task = {
			.fd = near ? pair.fd : pair.peer,
			.other = near ? pair.peer : pair.fd,
		};
		pid_t child = start(send_volume, &task);

		close(task.fd);
		recv_volume(task.other);
		finish(child);
		close(task.other);
		printf("# %s, %s sends: %lld ms\n", netem,
		       near ? "near" : "far", now_ms() - before);
		before = now_ms();
	}
}

static void clean(void)
{
	transfer_over("delay 10ms");
}

static void loss_2(void)
{
	transfer_over("delay 10ms loss 2%");
}

static void loss_5(void)
{
	transfer_over("delay 10ms loss 5%");
}

static void loss_10(void)
{
	transfer_over("delay 5ms loss 10%");
}

static void reordering(void)
{
	transfer_over("delay 10ms reorder 25% 50%");
}

static void jitter(void)
{
	transfer_over("delay 10ms 8ms");
}

static void duplicates(void)
{
	transfer_over("delay 5ms duplicate 10%");
}

/* A bit is wrong here and there: the checksum must find it. */
static void corruption(void)
{
	transfer_over("delay 5ms corrupt 2%");
}

static void all_together(void)
{
	transfer_over("delay 10ms 5ms loss 3% duplicate 2% reorder 10% corrupt 1%");
}

static void narrow(void)
{
	transfer_over("delay 5ms limit 30 rate 20mbit");
}

int main(void)
{
	static const struct test_case cases[] = {
		SLOW_CASE(clean, 300),		SLOW_CASE(loss_2, 600),
		SLOW_CASE(loss_5, 1200),	SLOW_CASE(loss_10, 2400),
		SLOW_CASE(reordering, 600),	SLOW_CASE(jitter, 600),
		SLOW_CASE(duplicates, 600),	SLOW_CASE(corruption, 1200),
		SLOW_CASE(all_together, 2400),	SLOW_CASE(narrow, 600),
	};

	if (getuid() != 0)
		return 4;
	return RUN_CASES(cases);
}
