// SPDX-License-Identifier: GPL-2.0
/*
 * Whom the memory of sockets is charged to, and what happens where there is no
 * more: the limit of a control group, and those of all TCPs (tcp_mem).
 */
#define _GNU_SOURCE
#include "bpf.h"
#include "policy.h"

#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>

static struct group group;

static void world(void)
{
	own_world();
	shell("echo +memory >/sys/fs/cgroup/cgroup.subtree_control");
	group = make_group();
}

/* Bytes of sockets in the group. */
static long charged(void)
{
	char *text = output_of("grep -w ^sock %s/memory.stat", group.path);
	long bytes = atol(text + strlen("sock "));

	free(text);
	return bytes;
}

static void await_charge(long low, long high)
{
	for (int i = 0; i < 100; i++) {
		if (charged() >= low && charged() <= high)
			return;
		sleep_ms(100);
	}
	BETWEEN(charged(), low, high);
}

static struct pair big_pair(int server)
{
	struct pair pair = connected(server, here(), PORT);

	set_option(pair.fd, SOL_SOCKET, SO_SNDBUF, 1 << 19);
	set_option(pair.peer, SOL_SOCKET, SO_RCVBUF, 1 << 19);
	return pair;
}

/* What is sent and not read is charged to who made the sockets. */
static void charged_to_maker(void)
{
	struct pair pair;
	size_t sum;
	int server;

	world();
	join_group(&group);
	server = serve(PORT);
	pair = big_pair(server);
	sum = fill(pair.fd);
	CHECK(sum > 200000);
	await_charge(sum, 4 * sum);
	close_pair(pair);
	close(server);
	await_charge(0, 65536);
	leave_group();
	remove_group(&group);
}

/* What came before accept() is charged to who accepts. */
static void charged_to_accepter(void)
{
	struct pair pair;
	size_t sum;
	int server;

	world();
	server = serve(PORT);
	set_option(server, SOL_SOCKET, SO_RCVBUF, 1 << 19);
	pair.fd = open_to(here(), PORT);
	sum = fill(pair.fd);
	CHECK(sum > 200000);
	EQ(charged(), 0);
	join_group(&group);
	pair.peer = accept_one(server);
	leave_group();
	await_charge(100000, 4 * sum);
	/* What comes later, too. */
	close_pair(pair);
	await_charge(0, 65536);
	remove_group(&group);
}

/* Bytes that the socket has for what is to come. */
static unsigned int in_reserve(int fd)
{
	unsigned int info[9];
	socklen_t length = sizeof(info);

	OK(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length));
	return info[4];
}

/* SO_RESERVE_MEM: the socket's, and so its maker's, whether it uses it or not. */
static void reserved(void)
{
	const int sum = 1 << 18;
	struct pair pair;
	int server;

	world();
	server = serve(PORT);
	join_group(&group);
	pair = connected(server, here(), PORT);
	leave_group();
	CHECK(in_reserve(pair.fd) < (unsigned int)sum);
	set_option(pair.fd, SOL_SOCKET, SO_RESERVE_MEM, sum);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_RESERVE_MEM), sum);
	CHECK(in_reserve(pair.fd) >= (unsigned int)sum);
	await_charge(sum, 2 * sum);
	/* What goes through the socket takes none of it away. */
	works(pair);
	CHECK(in_reserve(pair.fd) >= (unsigned int)sum);
	set_option(pair.fd, SOL_SOCKET, SO_RESERVE_MEM, 0);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_RESERVE_MEM), 0);
	await_charge(0, sum / 2);
	close_pair(pair);
	close(server);
	remove_group(&group);
}

/* Without a group it is refused. */
static void reserved_for_nobody(void)
{
	int fd = make_socket(0);
	int bytes = 4096;

	FAILS(setsockopt(fd, SOL_SOCKET, SO_RESERVE_MEM, &bytes, 4),
	      EOPNOTSUPP);
}

#define PAIRS	8

/* Pages of all TCP sockets of the machine. */
static long pages_of_all(void)
{
	char *text = output_of("grep ^TCP: /proc/net/sockstat");
	long pages = atol(strstr(text, " mem ") + strlen(" mem "));

	free(text);
	return pages;
}

/* One counter, and so one bound (tcp_mem), for Linux's TCP and ours together. */
static void counted_for_all(void)
{
	struct pair pairs[PAIRS];
	size_t sum = 0;
	long pages;
	int server;

	own_world();
	server = serve(PORT);
	pages = pages_of_all();
	for (int i = 0; i < PAIRS; i++) {
		pairs[i] = big_pair(server);
		sum += fill(pairs[i].fd);
	}
	/* But for what each processor has in reserve. */
	CHECK(pages_of_all() >= pages + (long)(sum / 4096) - 512);
	for (int i = 0; i < PAIRS; i++)
		close_pair(pairs[i]);
	sleep_ms(100);
	CHECK(pages_of_all() <= pages + 512);
}

#define MANY	16

/* Receivers that may hold more than any limit here allows. */
static void make_pairs(struct pair *pairs, int server)
{
	set_option(server, SOL_SOCKET, SO_RCVBUF, 1 << 19);
	for (int i = 0; i < MANY; i++) {
		pairs[i] = connected(server, here(), PORT);
		set_nonblocking(pairs[i].peer, true);
	}
}

/*
 * Sends until nothing is taken for a second; how much that was. Where memory
 * is short poll() may tell of room that is not there, so it is not asked.
 */
static size_t fill_until_short(int fd)
{
	static char zeros[65536];
	size_t sum = 0;
	int idle = 0;

	while (idle < 5 && sum < 8 << 20) {
		ssize_t sent = send(fd, zeros, sizeof(zeros), MSG_DONTWAIT);

		if (sent > 0) {
			sum += sent;
			idle = 0;
			continue;
		}
		CHECK(errno == EAGAIN);
		sleep_ms(200);
		idle++;
	}
	return sum;
}

/* Reads what was written, so many bytes, however long that takes the writers. */
static void read_all(struct pair *pairs, size_t *sums)
{
	static char bytes[1 << 16];
	long long end = now_ms() + 300000;
	int left;

	do {
		left = 0;
		for (int i = 0; i < MANY; i++) {
			ssize_t got;

			while ((got = recv(pairs[i].peer, bytes, sizeof(bytes),
					   0)) > 0)
				sums[i] -= got;
			CHECK(got == -1 && errno == EAGAIN);
			left += sums[i] != 0;
		}
		sleep_ms(200);
		if (now_ms() > end)
			FAIL("%d of %d writers have stopped", left, MANY);
	} while (left);
}

static void all_work(struct pair *pairs)
{
	for (int i = 0; i < MANY; i++) {
		set_nonblocking(pairs[i].peer, false);
		works(pairs[i]);
	}
}

/* A counter of this namespace, in netstat or oxtcp_netstat. */
static long counter_in(const char *file, const char *name)
{
	static char names[8192], values[8192];
	char *name_rest = names, *value_rest = values;
	char *text = output_of("grep ^TcpExt /proc/net/%s", file);
	char *middle = strchr(text, '\n');

	CHECK(middle && strlen(text) < sizeof(names));
	*middle = 0;
	strcpy(names, text);
	strcpy(values, middle + 1);
	free(text);
	for (;;) {
		char *found = strsep(&name_rest, " ");
		char *value = strsep(&value_rest, " ");

		if (!found || !value)
			FAIL("no counter %s in %s", name, file);
		if (strcmp(found, name) == 0)
			return atol(value);
	}
}

/* One of the family's. */
static long stat_of(const char *name)
{
	return counter_in(ours() ? "oxtcp_netstat" : "netstat", name);
}

/* Bytes that the window may grow to, as the receiver thinks. */
static unsigned int window_goal(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	return info.tcpi_rcv_ssthresh;
}

/* How often the group was at its limit. */
static long times_at_limit(void)
{
	char *text = output_of("grep ^max %s/memory.events", group.path);
	long times = atol(text + strlen("max "));

	free(text);
	return times;
}

#define GROUP_LIMIT	(2 << 20)

/*
 * What comes for receivers that do not read is charged even beyond the limit,
 * which an interrupt cannot wait to get below; so nothing is lost, their
 * buffers bound it, and all is given back.
 */
static void beyond_limit_of_group(void)
{
	struct pair pairs[MANY];
	size_t sums[MANY];
	size_t sum = 0;
	long times;
	int server;

	world();
	server = serve(PORT);
	set_option(server, SOL_SOCKET, SO_RCVBUF, 1 << 19);
	for (int i = 0; i < MANY; i++) {
		/* Only who accepts is in the group. */
		pairs[i].fd = open_to(here(), PORT);
		join_group(&group);
		pairs[i].peer = accept_one(server);
		leave_group();
		set_nonblocking(pairs[i].peer, true);
	}
	shell("echo %d >%s/memory.max", GROUP_LIMIT, group.path);
	times = times_at_limit();
	for (int i = 0; i < MANY; i++) {
		sums[i] = fill_until_short(pairs[i].fd);
		CHECK(sums[i] > 200000);
		sum += sums[i];
	}
	CHECK(sum > 2 * GROUP_LIMIT);
	await_charge(GROUP_LIMIT + 1, MANY * (2 << 20));
	CHECK(times_at_limit() > times);
	/* A reader can wait, and would be killed. */
	shell("echo max >%s/memory.max", group.path);
	read_all(pairs, sums);
	all_work(pairs);
	for (int i = 0; i < MANY; i++)
		close_pair(pairs[i]);
	close(server);
	await_charge(0, 65536);
	remove_group(&group);
}

/* What memory all TCPs may have (tcp_mem), in pages above what they have now. */
#define LOW	512
#define SHORT	1024
#define HARD	2048
/* What the processors have in reserve. */
#define RESERVE	512

/* The setting is the whole system's. */
#define FIRST_NETNS	"nsenter --net=/proc/1/ns/net "

static char limits_before[100];

static void keep_limits(void)
{
	char *text = output_of(FIRST_NETNS "sysctl -n net.ipv4.tcp_mem");

	CHECK(strlen(text) < sizeof(limits_before));
	strcpy(limits_before, text);
	limits_before[strcspn(limits_before, "\n")] = 0;
	free(text);
}

/* The pages in use now. */
static long set_limits(void)
{
	long pages = pages_of_all();

	shell(FIRST_NETNS "sysctl -qw net.ipv4.tcp_mem='%ld %ld %ld'",
	      pages + LOW, pages + SHORT, pages + HARD);
	return pages;
}

static void reset_limits(void)
{
	shell(FIRST_NETNS "sysctl -qw net.ipv4.tcp_mem='%s'", limits_before);
}

/* But for what the processors have in reserve. */
static void await_pages(long most)
{
	for (int i = 0; i < 100 && pages_of_all() > most + RESERVE; i++)
		sleep_ms(100);
	BETWEEN(pages_of_all(), 0, most + RESERVE);
}

/* All that TCPs have is bounded; nothing is lost, and all is given back. */
static void bounded_for_all(void)
{
	struct pair pairs[MANY], fresh;
	size_t sums[MANY];
	long pages, before, pruned, dropped;
	char byte;
	int server;

	own_world();
	server = serve(PORT);
	make_pairs(pairs, server);
	fresh = connected(server, here(), PORT);
	/* Linux counts them for both. */
	before = counter_in("netstat", "TCPMemoryPressures");
	pruned = stat_of("PruneCalled");
	dropped = stat_of("TCPRcvQDrop");
	pages = set_limits();
	for (int i = 0; i < MANY; i++) {
		sums[i] = fill_until_short(pairs[i].fd);
		BETWEEN(pages_of_all() - pages, -RESERVE, HARD + RESERVE);
	}
	CHECK(pages_of_all() - pages > SHORT);
	CHECK(counter_in("netstat", "TCPMemoryPressures") > before);
	CHECK(stat_of("PruneCalled") > pruned);
	CHECK(stat_of("TCPRcvQDrop") > dropped);
	/* A little is for everybody. */
	EQ(send(fresh.fd, "x", 1, MSG_DONTWAIT), 1);
	EQ_BITS(poll_for(fresh.peer, POLLIN, 5000), POLLIN);
	EQ(recv(fresh.peer, &byte, 1, MSG_DONTWAIT), 1);
	read_all(pairs, sums);
	reset_limits();
	all_work(pairs);
	works(fresh);
	for (int i = 0; i < MANY; i++)
		close_pair(pairs[i]);
	close_pair(fresh);
	await_pages(pages);
}

#define ENOUGH	300000

static void send_enough(void *argument)
{
	struct pair *pair = argument;

	send_pattern(pair->fd, 0, ENOUGH);
}

/* Where the window's goal is after so many bytes. */
static unsigned int goal_after_enough(struct pair *pair)
{
	pid_t child = start(send_enough, pair);

	recv_pattern(pair->peer, 0, ENOUGH);
	finish(child);
	return window_goal(pair->peer);
}

/* Where memory is short windows do not grow, and those that have grown shrink. */
static void windows_under_pressure(void)
{
	struct pair pairs[MANY], grown, young;
	long pages;
	struct link link;
	int server;

	own_world();
	server = serve(PORT);
	make_pairs(pairs, server);
	link = make_link(NULL);
	grown = make_pair_over(&link);
	young = make_pair_over(&link);
	CHECK(goal_after_enough(&grown) > 50000);
	CHECK(window_goal(young.peer) > 6 * 1460);
	pages = set_limits();
	for (int i = 0; i < MANY; i++) {
		if (pages_of_all() > pages + SHORT + 200)
			break;
		fill_until_short(pairs[i].fd);
	}
	BETWEEN(goal_after_enough(&grown), 1460, 4 * 1460);
	BETWEEN(goal_after_enough(&young), 1460, 4 * 1460);
	reset_limits();
	CHECK(goal_after_enough(&grown) > 20000);
	CHECK(goal_after_enough(&young) > 20000);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(charged_to_maker),	CASE(charged_to_accepter),
		CASE(counted_for_all),	CASE(reserved),
		CASE(reserved_for_nobody),
		SLOW_CASE(beyond_limit_of_group, 120),
		SLOW_CASE(bounded_for_all, 400),
		SLOW_CASE(windows_under_pressure, 400),
	};
	int failed;

	if (getuid() != 0)
		return 4;
	keep_limits();
	failed = RUN_CASES(cases);
	/* A case that has failed may have left its own. */
	reset_limits();
	return failed;
}
