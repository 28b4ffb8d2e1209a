// SPDX-License-Identifier: GPL-2.0
/* Many connections, at once and one after the other, and nothing left. */
#define _GNU_SOURCE
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define COUNT	1000

/* A number after the key of a line of /proc/net/sockstat. */
static int usage_of(const char *line_name, const char *key)
{
	FILE *file = fopen("/proc/net/sockstat", "r");
	char line[200];
	int value = -1;

	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		char *found = strstr(line, key);

		if (strncmp(line, line_name, strlen(line_name)) == 0 && found)
			value = atoi(found + strlen(key));
	}
	fclose(file);
	CHECK(value >= 0);
	return value;
}

static int sockets_used(void)
{
	return usage_of("sockets:", "used ");
}

static int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	CHECK(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/*
 * A new namespace begins with the sockets of the program that set it up, which
 * go after a grace period of RCU.
 */
static void await_sockets(int expected)
{
	for (int i = 0; i < 500 && sockets_used() != expected; i++)
		sleep_ms(10);
	EQ(sockets_used(), expected);
}

struct end {
	int fd;
	bool client;
	bool ready;
	uint64_t sent;
	uint64_t received;
};

static void add(int epoll, struct end *end)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = end,
	};

	OK(epoll_ctl(epoll, EPOLL_CTL_ADD, end->fd, &event));
}

#define VOLUME	3000

/* Moves what can be moved; true when this end is done. */
static bool progress(struct end *end)
{
	char bytes[VOLUME];

	while (end->sent < VOLUME) {
		ssize_t taken;

		pattern_fill(bytes, end->sent, VOLUME - end->sent);
		taken = send(end->fd, bytes, VOLUME - end->sent, MSG_NOSIGNAL);
		if (taken < 0) {
			CHECK(errno == EAGAIN);
			return false;
		}
		end->sent += taken;
		if (end->sent == VOLUME)
			OK(shutdown(end->fd, SHUT_WR));
	}
	for (;;) {
		ssize_t got = recv(end->fd, bytes, sizeof(bytes), 0);

		if (got < 0) {
			CHECK(errno == EAGAIN);
			return false;
		}
		if (got == 0)
			break;
		pattern_check(bytes, end->received, got);
		end->received += got;
	}
	EQ(end->received, VOLUME);
	return true;
}

static void at_once(void)
{
	struct rlimit limit = { 3 * COUNT, 3 * COUNT };
	static struct end ends[2 * COUNT];
	struct end listening = { 0 };
	union address address;
	int descriptors_before;
	int accepted = COUNT;
	int done = 0;
	int epoll;

	own_netns();
	OK(setrlimit(RLIMIT_NOFILE, &limit));
	await_sockets(0);
	descriptors_before = open_descriptors();
	epoll = OK(epoll_create1(0));
	listening.fd = listener_of(peer_family(), COUNT, &address);
	set_nonblocking(listening.fd, true);
	add(epoll, &listening);
	for (int i = 0; i < COUNT; i++) {
		ends[i].fd = make_socket(SOCK_NONBLOCK);
		ends[i].client = true;
		FAILS(connect_to(ends[i].fd, &address), EINPROGRESS);
		add(epoll, &ends[i]);
	}
	while (done < 2 * COUNT) {
		struct epoll_event events[100];
		int count = OK(epoll_wait(epoll, events, 100, 15000));

		if (!count)
			FAIL("%d of %d ends are done, %d accepted, and nothing happens",
			     done, 2 * COUNT, accepted - COUNT);
		for (int i = 0; i < count; i++) {
			struct end *end = events[i].data.ptr;

			if (end == &listening) {
				int fd;

				while ((fd = accept4(listening.fd, NULL, NULL,
						     SOCK_NONBLOCK)) >= 0) {
					CHECK(accepted < 2 * COUNT);
					ends[accepted].fd = fd;
					add(epoll, &ends[accepted++]);
				}
				CHECK(errno == EAGAIN);
				continue;
			}
			/* An end may be done before its last edge comes. */
			if (end->ready)
				continue;
			CHECK(!(events[i].events & EPOLLERR));
			if (progress(end)) {
				end->ready = true;
				done++;
			}
		}
	}
	EQ(accepted, 2 * COUNT);
	CHECK(sockets_used() >= 2 * COUNT);
	for (int i = 0; i < 2 * COUNT; i++)
		OK(close(ends[i].fd));
	OK(close(listening.fd));
	OK(close(epoll));
	EQ(open_descriptors(), descriptors_before);
	await_sockets(0);
}

static void one_after_the_other(void)
{
	union address address;
	int server;

	own_netns();
	await_sockets(0);
	server = listener_of(peer_family(), 10, &address);
	for (int i = 0; i < COUNT; i++) {
		int fd = make_socket(0);
		int child;

		OK(connect_to(fd, &address));
		child = accept_one(server);
		send_pattern(fd, 0, 100);
		recv_pattern(child, 0, 100);
		/* Either end closes first. */
		if (i & 1) {
			close(fd);
			expect_end(child);
			close(child);
		} else {
			close(child);
			expect_end(fd);
			close(fd);
		}
	}
	close(server);
	await_sockets(0);
}

static void with_resets(void)
{
	union address address;
	int server;

	own_netns();
	await_sockets(0);
	server = listener(10, &address);
	for (int i = 0; i < COUNT; i++) {
		int fd = make_socket_of(peer_family(), 0);
		int child = -1;
		int first;

		OK(connect_to(fd, &address));
		if (i % 3)
			child = accept_one(server);
		first = i % 3 == 2 ? child : fd;
		linger_zero(first);
		close(first);
		if (child < 0)
			child = accept_one(server);
		close(first == fd ? child : fd);
	}
	close(server);
	EQ(usage_of("TCP:", " tw "), 0);
	await_sockets(0);
}

static void refused(void)
{
	union address address = loopback(unused_port());

	own_netns();
	await_sockets(0);
	for (int i = 0; i < COUNT; i++) {
		int fd = make_socket(0);

		FAILS(connect_to(fd, &address), ECONNREFUSED);
		close(fd);
	}
	await_sockets(0);
}

int main(void)
{
	static const struct test_case cases[] = {
		SLOW_CASE(at_once, 60),
		SLOW_CASE(one_after_the_other, 60),
		SLOW_CASE(with_resets, 60),
		SLOW_CASE(refused, 60),
	};

	return RUN_CASES(cases);
}
