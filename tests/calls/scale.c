// SPDX-License-Identifier: GPL-2.0
/*
 * Many connections: at once, one after the other, from one address to several
 * peers, and what there is when files or memory run out. For a guest of its own
 * without a clock: limits that hold for all namespaces are changed.
 */
#define _GNU_SOURCE
#include "devices.h"
#include "harness.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

static void allow_files(unsigned long count)
{
	struct rlimit limit = { count, count };

	OK(setrlimit(RLIMIT_NOFILE, &limit));
}

/* One of 254 addresses of this machine, apart from the loopback addresses. */
static union address local_number(int number, uint16_t port)
{
	char texts[2][60];

	sprintf(texts[0], "127.0.1.%d", number);
	sprintf(texts[1], "fd7f::1:%x", number);
	if (v6())
		add_address("lo", texts[1], 128);
	return numeric(texts[0], texts[1], port);
}

static int listener_at(int af, const union address *address)
{
	int fd = make_socket_of(af, SOCK_NONBLOCK);

	OK(bind_to(fd, address));
	OK(listen(fd, 4096));
	return fd;
}

/* On a busy machine a thread ends the handshake after connect(). */
static int accept_soon(int listening)
{
	EQ_BITS(poll_for(listening, POLLIN, 5000), POLLIN);
	return accept_one(listening);
}

static void any_port(void)
{
	write_setting("ipv4/ip_local_port_range", "1024 65535");
	write_setting("core/somaxconn", "65536");
}

/* How many objects of such a kind the kernel has. */
static long objects_of(const char *slab)
{
	FILE *file;
	char line[300];
	long count = 0;

	file = fopen("/proc/slabinfo", "r");
	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		char name[100];
		long active;

		if (sscanf(line, "%99s %ld", name, &active) == 2 &&
		    strcmp(name, slab) == 0)
			count = active;
	}
	fclose(file);
	return count;
}

static const char * const slabs[] = {
	"OXTCP", "OXTCP_PORT", "TCP", "TCPv6", "tw_sock_TCP", "tw_sock_TCPv6",
	"request_sock_TCP", "request_sock_TCPv6", "tcp_bind_bucket",
	"tcp_bind2_bucket", "sock_inode_cache", "skbuff_head_cache",
	"kmalloc-1k", "kmalloc-2k", "kmalloc-4k",
};

#define SLABS	(sizeof(slabs) / sizeof(slabs[0]))

static void count_objects(long *counts)
{
	/* What waits for a grace period goes before. */
	for (int i = 0; i < 5; i++) {
		int fds[2];

		OK(pipe(fds));
		close(fds[0]);
		close(fds[1]);
		sleep_ms(500);
	}
	for (size_t i = 0; i < SLABS; i++)
		counts[i] = objects_of(slabs[i]);
}

/* As many as before, but for those that a CPU keeps ready. */
static void expect_objects(const long *before)
{
	long counts[SLABS];

	count_objects(counts);
	for (size_t i = 0; i < SLABS; i++) {
		if (counts[i] > before[i] + 200)
			FAIL("%s: %ld objects, %ld before", slabs[i], counts[i],
			     before[i]);
	}
}

/*
 * How many of so many are made: a tenth with Linux's own, which shows that the
 * test is right, and over IPv6, where only the addresses are others.
 */
static int share(int count)
{
	return family() == AF_OXTCP ? count : count / 10;
}

#define AT_ONCE	10000
#define MESSAGE	100

static void ten_thousand(void)
{
	static int clients[AT_ONCE];
	int count = share(AT_ONCE);
	struct epoll_event event = { .events = EPOLLIN };
	union address address;
	int accepted = 0, echoed = 0, done = 0;
	int listening, epoll;

	own_netns();
	allow_files(3 * AT_ONCE);
	any_port();
	address = local_number(1, 7000);
	listening = make_socket_of(peer_family(), SOCK_NONBLOCK);
	OK(bind_to(listening, &address));
	OK(listen(listening, AT_ONCE));
	epoll = OK(epoll_create1(0));
	event.data.fd = listening;
	OK(epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &event));
	for (int i = 0; i < count; i++) {
		clients[i] = make_socket(SOCK_NONBLOCK);
		if (connect_to(clients[i], &address))
			CHECK(errno == EINPROGRESS);
		event.events = EPOLLOUT | EPOLLONESHOT;
		event.data.fd = clients[i];
		OK(epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i], &event));
	}
	while (done < count) {
		struct epoll_event events[200];
		/*
		 * The backlog of the loopback device may drop what comes from a
		 * thousand at once; the last repetitions are half a minute apart.
		 */
		int ready = OK(epoll_wait(epoll, events, 200, 130000));

		if (!ready)
			FAIL("%d accepted, %d echoed, %d done, and nothing happens",
			     accepted, echoed, done);
		for (int i = 0; i < ready; i++) {
			int fd = events[i].data.fd;

			if (fd == listening) {
				int child = accept4(fd, NULL, NULL, SOCK_NONBLOCK);

				CHECK(child >= 0 || errno == EAGAIN);
				if (child < 0)
					continue;
				accepted++;
				event.events = EPOLLIN;
				event.data.fd = child;
				OK(epoll_ctl(epoll, EPOLL_CTL_ADD, child, &event));
			} else if (events[i].events & EPOLLOUT) {
				EQ(take_error(fd), 0);
				send_pattern(fd, 0, MESSAGE);
				event.events = EPOLLIN;
				event.data.fd = fd;
				OK(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
			} else {
				char bytes[MESSAGE];

				EQ(recv(fd, bytes, MESSAGE, 0), MESSAGE);
				pattern_check(bytes, 0, MESSAGE);
				OK(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
				if (same_address(remote_of(fd), address)) {
					done++;
				} else {
					send_pattern(fd, 0, MESSAGE);
					echoed++;
				}
			}
		}
	}
	EQ(accepted, count);
	EQ(echoed, count);
	/* All of them live. */
	for (int i = 0; i < count; i += 100) {
		send_pattern(clients[i], 0, MESSAGE);
		CHECK(tcp_state(clients[i]) == STATE_ESTABLISHED);
	}
}

#define IN_TURN	100000

static void one_after_the_other(void)
{
	union address servers[3];
	int listening[3];
	long before[SLABS];
	int count = share(IN_TURN);

	own_netns();
	any_port();
	for (int i = 0; i < 3; i++) {
		servers[i] = local_number(i + 1, 7000);
		listening[i] = listener_at(peer_family(), &servers[i]);
	}
	count_objects(before);
	for (int i = 0; i < count; i++) {
		int fd = make_socket(0);
		int child;

		OK(connect_to(fd, &servers[i % 3]));
		child = accept_soon(listening[i % 3]);
		if (i & 1) {
			close(fd);
			close(child);
		} else {
			close(child);
			close(fd);
		}
	}
	/* TIME-WAIT is a minute. */
	sleep_ms(65000);
	expect_objects(before);
}

#define FROM_ONE	15500
#define PEERS		31
#define FIRST_PORT	1024
#define LAST_PORT	1567

/*
 * With a thirtieth of the ports that they would take alone. The peers are
 * always Linux's and close at once, since what is left there of a connection is
 * small. Until the FIN is acknowledged it is an orphan, though.
 */
static void from_one_address(void)
{
	static int fds[FROM_ONE];
	union address servers[PEERS];
	union address source;
	int listening[PEERS];
	int count = share(FROM_ONE);
	int ports = 0;
	static bool used[65536];
	long before[SLABS];

	/* Each has a page for the FIN that it got, or Linux gives up peers. */
	write_setting("ipv4/tcp_mem", "400000 400000 400000");
	write_setting("ipv4/tcp_max_orphans", "100000");
	own_netns();
	allow_files(count + 100);
	shell("echo 100000 > /proc/sys/fs/file-max");
	write_setting("ipv4/tcp_max_tw_buckets", "100000");
	any_port();
	shell("echo %d %d > /proc/sys/net/ipv4/ip_local_port_range", FIRST_PORT,
	      LAST_PORT);
	source = local_number(PEERS + 1, 0);
	for (int i = 0; i < PEERS; i++) {
		servers[i] = local_number(i + 1, 7000);
		listening[i] = listener_at(v6() ? AF_INET6 : AF_INET, &servers[i]);
	}
	count_objects(before);
	for (int i = 0; i < count; i++) {
		int child;

		fds[i] = make_socket(0);
		set_option(fds[i], IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, 1);
		OK(bind_to(fds[i], &source));
		OK(connect_to(fds[i], &servers[i % PEERS]));
		child = accept_soon(listening[i % PEERS]);
		close(child);
	}
	for (int i = 0; i < count; i++) {
		uint16_t port = port_of(local_of(fds[i]));

		EQ(tcp_state(fds[i]), STATE_CLOSE_WAIT);
		EQ_HOST(local_of(fds[i]), source);
		ports += !used[port];
		used[port] = true;
	}
	/* They share them. */
	BETWEEN(ports, count / PEERS, LAST_PORT - FIRST_PORT + 1);
	for (int i = 0; i < count; i += 100)
		expect_end(fds[i]);
	for (int i = 0; i < count; i++) {
		linger_zero(fds[i]);
		close(fds[i]);
	}
	sleep_ms(65000);
	expect_objects(before);
}

/* Without a descriptor a connection waits; it is there when there is one. */
static void no_descriptor(void)
{
	union address address;
	int listening, first, second, child;

	own_netns();
	listening = listener(5, &address);
	first = make_socket_of(peer_family(), 0);
	second = make_socket_of(peer_family(), 0);
	OK(connect_to(first, &address));
	OK(connect_to(second, &address));
	send_pattern(second, 0, 1000);
	child = accept_one(listening);
	allow_files(child + 1);
	FAILS(accept(listening, NULL, NULL), EMFILE);
	FAILS(socket(domain_of(family()), SOCK_STREAM, protocol_of(family())),
	      EMFILE);
	EQ_BITS(events_now(listening) & POLLIN, POLLIN);
	close(child);
	child = accept_one(listening);
	recv_pattern(child, 0, 1000);
}

#define STARVED	20

/* With all of TCP's memory in use writers wait, and go on when there is some. */
static void no_memory(void)
{
	struct pair pairs[STARVED];
	size_t sent[STARVED];
	int left = STARVED;
	char *bytes = malloc(1 << 20);
	char limits[100] = "";
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_mem", "r");

	CHECK(bytes);
	CHECK(file && fgets(limits, sizeof(limits), file));
	fclose(file);
	limits[strcspn(limits, "\n")] = 0;
	write_setting("ipv4/tcp_mem", "200 300 400");
	for (int i = 0; i < STARVED; i++) {
		pairs[i] = make_pair();
		set_nonblocking(pairs[i].fd, true);
		set_nonblocking(pairs[i].peer, true);
	}
	for (int i = 0; i < STARVED; i++)
		sent[i] = fill(pairs[i].fd);
	/* There is less than all would take. */
	{
		char line[200];
		int mem = -1;

		file = fopen("/proc/net/sockstat", "r");
		while (file && fgets(line, sizeof(line), file)) {
			char *found = strstr(line, " mem ");

			if (strncmp(line, "TCP:", 4) == 0 && found)
				mem = atoi(found + 5);
		}
		fclose(file);
		BETWEEN(mem, 200, 1500);
	}
	/* A reader lets its writer go on, even while there is none for others. */
	for (int rounds = 0; left; rounds++) {
		if (rounds == 3000) {
			BETWEEN(left, 0, STARVED / 2);
			write_setting("ipv4/tcp_mem", limits);
		}
		CHECK(rounds < 30000);
		left = 0;
		for (int i = 0; i < STARVED; i++) {
			ssize_t got;

			while ((got = recv(pairs[i].peer, bytes, 1 << 20, 0)) > 0)
				sent[i] -= got;
			CHECK(got == -1 && errno == EAGAIN);
			left += sent[i] != 0;
		}
		sleep_ms(10);
	}
	write_setting("ipv4/tcp_mem", limits);
	for (int i = 0; i < STARVED; i++) {
		set_nonblocking(pairs[i].fd, false);
		set_nonblocking(pairs[i].peer, false);
		send_pattern(pairs[i].fd, 0, 50000);
		recv_pattern(pairs[i].peer, 0, 50000);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		SLOW_CASE(ten_thousand, 300),
		SLOW_CASE(one_after_the_other, 600),
		SLOW_CASE(from_one_address, 600),
		CASE(no_descriptor),
		SLOW_CASE(no_memory, 600),
	};

	return RUN_CASES(cases);
}
