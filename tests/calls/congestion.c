// SPDX-License-Identifier: GPL-2.0
/* Congestion control by name, pacing, and what TCP_INFO tells of both. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define NAME_MAX_LENGTH	16
#define MEGABYTE	1000000

static void expect_name(int fd, const char *expected)
{
	char name[NAME_MAX_LENGTH + 8];
	socklen_t length = sizeof(name);

	memset(name, 'x', sizeof(name));
	OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length));
	EQ(length, NAME_MAX_LENGTH);
	if (strcmp(name, expected) != 0)
		FAIL("it is %s, not %s", name, expected);
	for (size_t i = strlen(expected); i < NAME_MAX_LENGTH; i++)
		EQ(name[i], 0);
	EQ(name[NAME_MAX_LENGTH], 'x');
}

static int choose(int fd, const char *name)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, strlen(name));
}

static void set_default(const char *name)
{
	write_setting("ipv4/tcp_congestion_control", name);
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	memset(&info, 0, sizeof(info));
	OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	EQ(length, sizeof(info));
	return info;
}

static void names(void)
{
	char name[NAME_MAX_LENGTH] = "xxxxxxxxxxxxxxx";
	socklen_t length = 3;
	int fd = make_socket(0);

	expect_name(fd, "cubic");
	OK(choose(fd, "reno"));
	expect_name(fd, "reno");
	OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length));
	EQ(length, 3);
	CHECK(memcmp(name, "renx", 4) == 0);
	OK(choose(fd, "bbr"));
	expect_name(fd, "bbr");
	/* What follows the end of the string, or the fifteenth byte, is not of it. */
	OK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic\0bbr", 9));
	expect_name(fd, "cubic");
	OK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "renovation", 4));
	expect_name(fd, "reno");
}

static void no_names(void)
{
	socklen_t length = -1;
	int fd = make_socket(0);

	FAILS(choose(fd, "nonesuch"), ENOENT);
	FAILS(choose(fd, "Reno"), ENOENT);
	FAILS(choose(fd, "cubi"), ENOENT);
	FAILS(choose(fd, "cubic "), ENOENT);
	FAILS(choose(fd, "a name that is much too long"), ENOENT);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "\0", 1), ENOENT);
	FAILS(choose(fd, ""), EINVAL);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, (void *)1, 5),
	      EFAULT);
	FAILS(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, NULL, &length),
	      EINVAL);
	expect_name(fd, "cubic");
}

/* A string that ends where the memory ends is read no further. */
static void name_at_the_edge(void)
{
	int fd = make_socket(0);
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	OK(munmap(page + 4096, 4096));
	memcpy(page + 4091, "reno", 5);
	OK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, page + 4091, 15));
	expect_name(fd, "reno");
	memcpy(page + 4091, "cubic", 5);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, page + 4091, 15),
	      EFAULT);
	expect_name(fd, "reno");
}

static void privileged(void)
{
	int fd = make_socket(0);
	int other = make_socket(0);

	OK(choose(fd, "dctcp"));
	expect_name(fd, "dctcp");
	OK(setresuid(65534, 65534, 65534));
	FAILS(choose(other, "dctcp"), EPERM);
	expect_name(other, "cubic");
	OK(choose(other, "bbr"));
	OK(choose(other, "reno"));
	OK(choose(other, "cubic"));
	FAILS(choose(other, "nonesuch"), ENOENT);
	/* What it is already it may stay. */
	OK(choose(fd, "dctcp"));
	OK(choose(fd, "reno"));
	FAILS(choose(fd, "dctcp"), EPERM);
}

static void default_of_the_namespace(void)
{
	union address address;
	int before, after, server, client;

	own_netns();
	expect_name(make_socket(0), "cubic");
	before = make_socket(0);
	server = listener(4, &address);
	set_default("reno");
	after = make_socket(0);
	expect_name(before, "cubic");
	expect_name(after, "reno");

	/* A connection of a listener that chose nothing gets what is so now. */
	expect_name(server, "cubic");
	client = make_socket_of(peer_family(), 0);
	OK(connect_to(client, &address));
	expect_name(accept_one(server), "reno");

	OK(connect_to(before, &address));
	expect_name(before, "cubic");
	OK(connect_to(after, &address));
	expect_name(after, "reno");
	set_default("cubic");
	expect_name(after, "reno");
}

static void inherited(void)
{
	union address address;
	int server, client, child;

	own_netns();
	server = listener(4, &address);
	OK(choose(server, "bbr"));
	client = make_socket_of(peer_family(), 0);
	OK(connect_to(client, &address));
	child = accept_one(server);
	expect_name(child, "bbr");
	OK(choose(child, "reno"));
	expect_name(child, "reno");
	expect_name(server, "bbr");

	/* Choosing what it is counts as a choice. */
	server = listener(4, &address);
	OK(choose(server, "cubic"));
	set_default("reno");
	client = make_socket_of(peer_family(), 0);
	OK(connect_to(client, &address));
	expect_name(accept_one(server), "cubic");
}

static void ten_segments_at_first(void)
{
	struct pair pair;

	own_netns();
	pair = make_pair();
	EQ(info_of(pair.fd).tcpi_snd_cwnd, 10);
}

static void switched_while_sending(void)
{
	static const char *const names[] = {
		"reno", "cubic", "bbr", "dctcp", "bbr", "cubic", "reno",
	};
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);
	uint64_t place = 0;

	for (int turn = 0; turn < 28; turn++) {
		const char *name = names[turn % 7];
		unsigned int cwnd = info_of(pair.fd).tcpi_snd_cwnd;

		OK(choose(pair.fd, name));
		/* Without ECN DCTCP is Reno, and says so. */
		expect_name(pair.fd, strcmp(name, "dctcp") ? name :
				     "dctcp-reno");
		EQ(info_of(pair.fd).tcpi_snd_cwnd, cwnd);
		send_pattern(pair.fd, place, 50000);
		recv_pattern(pair.peer, place, 50000);
		place += 50000;
		send_pattern(pair.peer, place, 1000);
		recv_pattern(pair.fd, place, 1000);
	}
}

static void dctcp_with_ecn(void)
{
	union tcp_cc_info info;
	socklen_t length = sizeof(info);
	struct link link = make_link(NULL);
	struct pair pair;

	for (int i = 0; i < 2; i++) {
		enter_netns(i ? link.near : link.far);
		write_setting("ipv4/tcp_ecn", "1");
	}
	pair = make_pair_over(&link);
	OK(choose(pair.fd, "dctcp"));
	expect_name(pair.fd, "dctcp");
	send_pattern(pair.fd, 0, 100000);
	recv_pattern(pair.peer, 0, 100000);
	OK(getsockopt(pair.fd, IPPROTO_TCP, TCP_CC_INFO, &info, &length));
	EQ(length, sizeof(info.dctcp));
	EQ(info.dctcp.dctcp_enabled, 1);
	EQ(info.dctcp.dctcp_ce_state, 0);
	/* It begins with the worst, and nothing is marked. */
	BETWEEN(info.dctcp.dctcp_alpha, 1, 1023);
}

static void info_of_an_algorithm(void)
{
	union tcp_cc_info info;
	socklen_t length = sizeof(info);
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);

	OK(getsockopt(pair.fd, IPPROTO_TCP, TCP_CC_INFO, &info, &length));
	EQ(length, 0);
	OK(choose(pair.fd, "bbr"));
	send_pattern(pair.fd, 0, 1000);
	recv_pattern(pair.peer, 0, 1000);
	send_pattern(pair.peer, 0, 1000);
	recv_pattern(pair.fd, 0, 1000);
	length = 8;
	memset(&info, 0xff, sizeof(info));
	OK(getsockopt(pair.fd, IPPROTO_TCP, TCP_CC_INFO, &info, &length));
	EQ(length, 8);
	EQ(info.bbr.bbr_min_rtt, -1u);
	length = sizeof(info);
	OK(getsockopt(pair.fd, IPPROTO_TCP, TCP_CC_INFO, &info, &length));
	EQ(length, sizeof(info.bbr));
	EQ(info.bbr.bbr_pacing_gain, 739);
	EQ(info.bbr.bbr_cwnd_gain, 739);
}

struct transfer {
	int fd;
	int other;
	size_t length;
};

static void send_it(void *argument)
{
	struct transfer *transfer = argument;

	close(transfer->other);
	send_pattern(transfer->fd, 0, transfer->length);
	/* What TCP_INFO tells is asked of a connection that is there still. */
	sleep_ms(60000);
}

/* Sends so many bytes; how long it took, in milliseconds. */
static long long timed(const struct pair *pair, size_t length)
{
	struct transfer transfer = { pair->fd, pair->peer, length };
	long long start_at = now_ms();
	pid_t child = start(send_it, &transfer);

	(void)child;
	recv_pattern(pair->peer, 0, length);
	return now_ms() - start_at;
}

static void set_rate(int fd, unsigned int rate)
{
	OK(setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)));
	EQ(get_option(fd, SOL_SOCKET, SO_MAX_PACING_RATE), rate);
}

/* A limit of the rate is kept, by whoever paces. */
static void limited_rate(const char *discipline)
{
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);
	struct tcp_info info;
	long long took;

	enter_netns(link.near);
	if (discipline)
		shell("tc qdisc replace dev near root %s", discipline);
	info = info_of(pair.fd);
	EQ(info.tcpi_max_pacing_rate, -1ll);
	set_rate(pair.fd, MEGABYTE);
	took = timed(&pair, 3 * MEGABYTE);
	printf("# 3 s of data took %lld ms\n", took);
	BETWEEN(took, 2850, 3300);
	info = info_of(pair.fd);
	EQ(info.tcpi_max_pacing_rate, MEGABYTE);
	EQ(info.tcpi_pacing_rate, MEGABYTE);
	/* It was sending all the time. */
	BETWEEN(info.tcpi_busy_time, 2800000, 3300000);
	BETWEEN(info.tcpi_delivered, 3 * MEGABYTE / 1460,
		3 * MEGABYTE / 1400 + 10);
	EQ(info.tcpi_delivered_ce, 0);
}

static void max_pacing_rate(void)
{
	limited_rate(NULL);
}

static void max_pacing_rate_by_fq(void)
{
	limited_rate("fq");
}

static void limit_changes_while_sending(void)
{
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);
	struct transfer transfer = { pair.fd, pair.peer, 4 * MEGABYTE };
	long long start_at, half;

	set_rate(pair.fd, MEGABYTE / 2);
	start_at = now_ms();
	start(send_it, &transfer);
	recv_pattern(pair.peer, 0, MEGABYTE);
	half = now_ms();
	BETWEEN(half - start_at, 1800, 2250);
	set_rate(pair.fd, 3 * MEGABYTE);
	recv_pattern(pair.peer, MEGABYTE, 3 * MEGABYTE);
	BETWEEN(now_ms() - half, 850, 1250);
}

/* A rate so low that hardly anything leaves stops neither data nor the end. */
static void very_low_rate(void)
{
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);

	set_rate(pair.fd, 10000);
	send_pattern(pair.fd, 0, 40000);
	OK(shutdown(pair.fd, SHUT_WR));
	recv_pattern(pair.peer, 0, 40000);
	expect_end(pair.peer);
}

/* Stopped before the next departure: nothing is left that would fire. */
static void closed_while_paced(void)
{
	for (int turn = 0; turn < 20; turn++) {
		struct pair pair = make_pair();
		char bytes[100000];

		set_rate(pair.fd, 20000);
		pattern_fill(bytes, 0, sizeof(bytes));
		send_all(pair.fd, bytes, sizeof(bytes));
		linger_zero(pair.fd);
		close(pair.fd);
		close(pair.peer);
	}
	sleep_ms(300);
}

static void bbr_finds_the_rate(void)
{
	struct link link = make_link("rate 20mbit delay 5ms");
	struct pair pair = make_pair_over(&link);
	union tcp_cc_info info;
	socklen_t length = sizeof(info);
	unsigned long long rate;
	long long took;

	OK(choose(pair.fd, "bbr"));
	took = timed(&pair, 10 * MEGABYTE);
	OK(getsockopt(pair.fd, IPPROTO_TCP, TCP_CC_INFO, &info, &length));
	EQ(length, sizeof(info.bbr));
	rate = info.bbr.bbr_bw_lo | (unsigned long long)info.bbr.bbr_bw_hi << 32;
	printf("# %lld ms, %llu bytes/s, %u us, gains %u and %u\n", took, rate,
	       info.bbr.bbr_min_rtt, info.bbr.bbr_pacing_gain,
	       info.bbr.bbr_cwnd_gain);
	/* 2.5 MB/s with headers: 4 s and a bit to begin. */
	BETWEEN(took, 4000, 5500);
	BETWEEN(rate, 2200000, 2700000);
	BETWEEN(info.bbr.bbr_min_rtt, 10000, 12500);
	EQ(info.bbr.bbr_cwnd_gain, 512);
	printf("# delivery rate %llu\n",
	       (unsigned long long)info_of(pair.fd).tcpi_delivery_rate);
	BETWEEN(info_of(pair.fd).tcpi_delivery_rate, 2000000, 2700000);
}

/* What the limit was: the reader, then the network. */
static void limits_are_timed(void)
{
	struct link link = make_link("delay 5ms");
	struct pair pair = make_pair_over(&link);
	static char bytes[8 * MEGABYTE];
	struct tcp_info info;
	size_t sent = 0;
	ssize_t part;

	set_nonblocking(pair.fd, true);
	pattern_fill(bytes, 0, sizeof(bytes));
	for (int turn = 0; turn < 20; turn++) {
		part = send(pair.fd, bytes + sent, sizeof(bytes) - sent, 0);
		sent += part > 0 ? part : 0;
		sleep_ms(50);
	}
	info = info_of(pair.fd);
	/* Nobody reads: the window is shut most of the second. */
	BETWEEN(info.tcpi_busy_time, 900000, 1200000);
	BETWEEN(info.tcpi_rwnd_limited, 600000, 1200000);
	recv_pattern(pair.peer, 0, sent);
	sleep_ms(200);
	info = info_of(pair.fd);
	part = info.tcpi_busy_time;
	sleep_ms(500);
	info = info_of(pair.fd);
	EQ(info.tcpi_busy_time, part);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(names),		CASE(no_names),
		CASE(name_at_the_edge),	CASE(privileged),
		CASE(default_of_the_namespace), CASE(inherited),
		CASE(ten_segments_at_first), CASE(switched_while_sending),
		CASE(dctcp_with_ecn),	CASE(info_of_an_algorithm),
		CASE(max_pacing_rate),	CASE(max_pacing_rate_by_fq),
		CASE(limit_changes_while_sending), CASE(very_low_rate),
		CASE(closed_while_paced), CASE(bbr_finds_the_rate),
		CASE(limits_are_timed),
	};

	return RUN_CASES(cases);
}
