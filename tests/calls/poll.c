// SPDX-License-Identifier: GPL-2.0
/* poll, select and epoll: the events of each state, and that waiters wake. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

#define IN	(POLLIN | POLLRDNORM)
#define OUT	(POLLOUT | POLLWRNORM)
#define ENDED	(IN | POLLRDHUP)

static void drain(int fd, size_t length)
{
	static char bytes[65536];

	while (length) {
		size_t part = length < sizeof(bytes) ? length : sizeof(bytes);

		recv_all(fd, bytes, part);
		length -= part;
	}
}

static void fresh(void)
{
	EQ_BITS(events_now(make_socket(0)), OUT | POLLHUP);
	EQ_BITS(events_now(bound(family(), 0)), OUT | POLLHUP);
}

static void listening(void)
{
	union address address;
	int fd = listener(2, &address);

	EQ_BITS(events_now(fd), 0);
	OK(connect_to(make_socket_of(peer_family(), 0), &address));
	EQ_BITS(poll_for(fd, POLLIN, 1000), POLLIN);
	EQ_BITS(events_now(fd), IN);
	accept_one(fd);
	EQ_BITS(events_now(fd), 0);
}

static void established(void)
{
	struct pair pair = make_pair();
	char byte;

	EQ_BITS(events_now(pair.fd), OUT);
	EQ_BITS(events_now(pair.peer), OUT);
	send_all(pair.peer, "ab", 2);
	EQ_BITS(poll_for(pair.fd, POLLIN, 1000), POLLIN);
	EQ_BITS(events_now(pair.fd), IN | OUT);
	EQ(recv(pair.fd, &byte, 1, MSG_PEEK), 1);
	EQ_BITS(events_now(pair.fd), IN | OUT);
	EQ(recv(pair.fd, &byte, 1, 0), 1);
	EQ_BITS(events_now(pair.fd), IN | OUT);
	EQ(recv(pair.fd, &byte, 1, 0), 1);
	EQ_BITS(events_now(pair.fd), OUT);
}

static void unwritable(void)
{
	struct pair pair = make_pair_with(20000, 20000);
	size_t sent = fill(pair.fd);

	EQ_BITS(events_now(pair.fd), 0);
	drain(pair.peer, sent);
	EQ_BITS(poll_for(pair.fd, POLLOUT, 2000), POLLOUT);
}

static void peer_finished(void)
{
	struct pair pair = make_pair();

	OK(shutdown(pair.peer, SHUT_WR));
	EQ_BITS(poll_for(pair.fd, POLLRDHUP, 1000), POLLRDHUP);
	EQ_BITS(events_now(pair.fd), ENDED | OUT);
	EQ_BITS(events_now(pair.peer), OUT);
	expect_end(pair.fd);
	EQ_BITS(events_now(pair.fd), ENDED | OUT);
	EQ(tcp_state(pair.fd), STATE_CLOSE_WAIT);
	await_state(pair.peer, STATE_FIN_WAIT2);
	send_all(pair.fd, "x", 1);
	EQ_BITS(poll_for(pair.peer, POLLIN, 1000), POLLIN);
	EQ_BITS(events_now(pair.peer), IN | OUT);
}

static void both_finished(void)
{
	struct pair pair = make_pair();

	OK(shutdown(pair.fd, SHUT_WR));
	EQ_BITS(events_now(pair.fd), OUT);
	OK(shutdown(pair.peer, SHUT_WR));
	EQ_BITS(poll_for(pair.fd, POLLRDHUP, 1000) & POLLRDHUP, POLLRDHUP);
	EQ_BITS(poll_for(pair.fd, 0, 1000), POLLHUP);
	EQ_BITS(events_now(pair.fd), ENDED | OUT | POLLHUP);
	EQ_BITS(poll_for(pair.peer, 0, 1000), POLLHUP);
	EQ_BITS(events_now(pair.peer), ENDED | OUT | POLLHUP);
	EQ(take_error(pair.fd), 0);
	EQ(take_error(pair.peer), 0);
}

static void shut_for_reading(void)
{
	struct pair pair = make_pair();

	OK(shutdown(pair.fd, SHUT_RD));
	EQ_BITS(events_now(pair.fd), ENDED | OUT);
	OK(shutdown(pair.fd, SHUT_WR));
	EQ_BITS(events_now(pair.fd), ENDED | OUT | POLLHUP);
}

static void was_reset(void)
{
	struct pair pair = make_pair();
	char byte;

	linger_zero(pair.peer);
	close(pair.peer);
	EQ_BITS(poll_for(pair.fd, 0, 1000), POLLERR | POLLHUP);
	EQ_BITS(events_now(pair.fd), ENDED | OUT | POLLHUP | POLLERR);
	FAILS(recv(pair.fd, &byte, 1, 0), ECONNRESET);
	/* Told once. */
	EQ_BITS(events_now(pair.fd), ENDED | OUT | POLLHUP);
	EQ(recv(pair.fd, &byte, 1, 0), 0);
	EQ(take_error(pair.fd), 0);
}

static void low_water_mark(void)
{
	struct pair pair = make_pair();

	set_option(pair.fd, SOL_SOCKET, SO_RCVLOWAT, 10);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_RCVLOWAT), 10);
	send_all(pair.peer, "123456789", 9);
	EQ_BITS(poll_for(pair.fd, POLLIN, 200), 0);
	send_all(pair.peer, "0", 1);
	EQ_BITS(poll_for(pair.fd, POLLIN, 1000), POLLIN);
}

struct waiter {
	int fd;
	short events;
	short expected;
};

static void wait_in_poll(void *argument)
{
	struct waiter *waiter = argument;
	long long before = now_ms();

	EQ_BITS(poll_for(waiter->fd, waiter->events, 5000), waiter->expected);
	BETWEEN(now_ms() - before, 50, 4000);
}

static void wakes_for_data(void)
{
	struct pair pair = make_pair();
	struct waiter waiter = { pair.fd, POLLIN, POLLIN };
	pid_t child = start(wait_in_poll, &waiter);

	sleep_ms(150);
	send_all(pair.peer, "x", 1);
	finish(child);
}

static void wakes_for_end(void)
{
	struct pair pair = make_pair();
	struct waiter waiter = { pair.fd, POLLRDHUP, POLLRDHUP };
	pid_t child = start(wait_in_poll, &waiter);

	sleep_ms(150);
	OK(shutdown(pair.peer, SHUT_WR));
	finish(child);
}

static void wakes_for_reset(void)
{
	struct pair pair = make_pair();
	struct waiter waiter = { pair.fd, 0, POLLHUP | POLLERR };
	pid_t child = start(wait_in_poll, &waiter);

	sleep_ms(150);
	/* Not close: the child has the descriptor too. */
	OK(connect(pair.peer, &(struct sockaddr){ .sa_family = AF_UNSPEC },
		   sizeof(struct sockaddr)));
	finish(child);
}

static void wakes_for_room(void)
{
	struct pair pair = make_pair_with(20000, 20000);
	struct waiter waiter = { pair.fd, POLLOUT, POLLOUT };
	size_t sent = fill(pair.fd);
	pid_t child;

	child = start(wait_in_poll, &waiter);
	sleep_ms(150);
	drain(pair.peer, sent);
	finish(child);
}

static void wakes_for_own_shutdown(void)
{
	struct pair pair = make_pair();
	struct waiter waiter = { pair.fd, POLLRDHUP, POLLRDHUP | POLLHUP };
	pid_t child = start(wait_in_poll, &waiter);

	sleep_ms(150);
	OK(shutdown(pair.fd, SHUT_RDWR));
	finish(child);
}

static void with_select(void)
{
	struct pair pair = make_pair();
	struct timeval limit = { .tv_usec = 100000 };
	fd_set readable, writable;

	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(pair.fd, &readable);
	FD_SET(pair.fd, &writable);
	EQ(select(pair.fd + 1, &readable, &writable, NULL, &limit), 1);
	CHECK(!FD_ISSET(pair.fd, &readable));
	CHECK(FD_ISSET(pair.fd, &writable));
	send_all(pair.peer, "x", 1);
	FD_SET(pair.fd, &readable);
	limit = (struct timeval){ .tv_sec = 2 };
	EQ(select(pair.fd + 1, &readable, NULL, NULL, &limit), 1);
}

/* What epoll tells of the one socket it watches, 0 if nothing comes. */
static unsigned int epoll_for(int epoll, int timeout)
{
	struct epoll_event event;

	return OK(epoll_wait(epoll, &event, 1, timeout)) ? event.events : 0;
}

static int watch(int fd, unsigned int events)
{
	struct epoll_event event = { .events = events };
	int epoll = OK(epoll_create1(0));

	OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	return epoll;
}

static void epoll_level(void)
{
	struct pair pair = make_pair();
	int epoll = watch(pair.fd, EPOLLIN | EPOLLRDHUP);
	char byte;

	EQ_BITS(epoll_for(epoll, 0), 0);
	send_all(pair.peer, "ab", 2);
	EQ_BITS(epoll_for(epoll, 1000), EPOLLIN);
	EQ_BITS(epoll_for(epoll, 0), EPOLLIN);
	EQ(recv(pair.fd, &byte, 1, 0), 1);
	EQ_BITS(epoll_for(epoll, 0), EPOLLIN);
	EQ(recv(pair.fd, &byte, 1, 0), 1);
	EQ_BITS(epoll_for(epoll, 0), 0);
	OK(shutdown(pair.peer, SHUT_WR));
	EQ_BITS(epoll_for(epoll, 1000), EPOLLIN | EPOLLRDHUP);
	EQ_BITS(epoll_for(epoll, 0), EPOLLIN | EPOLLRDHUP);
}

static void epoll_edge_in(void)
{
	struct pair pair = make_pair();
	int epoll = watch(pair.fd, EPOLLIN | EPOLLET);
	char byte;

	EQ_BITS(epoll_for(epoll, 0), 0);
	send_all(pair.peer, "ab", 2);
	EQ_BITS(epoll_for(epoll, 1000), EPOLLIN);
	/* Told once, though bytes are left. */
	EQ_BITS(epoll_for(epoll, 100), 0);
	EQ(recv(pair.fd, &byte, 1, 0), 1);
	EQ_BITS(epoll_for(epoll, 100), 0);
	/* New bytes are a new edge. */
	send_all(pair.peer, "c", 1);
	EQ_BITS(epoll_for(epoll, 1000), EPOLLIN);
	EQ_BITS(epoll_for(epoll, 100), 0);
}

static void epoll_edge_out(void)
{
	struct pair pair = make_pair_with(20000, 20000);
	int epoll = watch(pair.fd, EPOLLOUT | EPOLLET);
	size_t sent;

	EQ_BITS(epoll_for(epoll, 0), EPOLLOUT);
	EQ_BITS(epoll_for(epoll, 100), 0);
	sent = fill(pair.fd);
	while (epoll_for(epoll, 200))
		sent += fill(pair.fd);
	drain(pair.peer, sent);
	EQ_BITS(epoll_for(epoll, 2000), EPOLLOUT);
	EQ_BITS(epoll_for(epoll, 100), 0);
}

static void epoll_edge_end(void)
{
	struct pair pair = make_pair();
	int epoll = watch(pair.fd, EPOLLIN | EPOLLRDHUP | EPOLLET);

	OK(shutdown(pair.peer, SHUT_WR));
	EQ_BITS(epoll_for(epoll, 1000), EPOLLIN | EPOLLRDHUP);
	EQ_BITS(epoll_for(epoll, 100), 0);
}

static void epoll_reset(void)
{
	struct pair pair = make_pair();
	int epoll = watch(pair.fd, EPOLLIN | EPOLLET);

	linger_zero(pair.peer);
	close(pair.peer);
	EQ_BITS(epoll_for(epoll, 1000), EPOLLIN | EPOLLHUP | EPOLLERR);
	EQ_BITS(epoll_for(epoll, 100), 0);
}

static void epoll_once(void)
{
	struct pair pair = make_pair();
	int epoll = watch(pair.fd, EPOLLIN | EPOLLONESHOT);
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };

	send_all(pair.peer, "a", 1);
	EQ_BITS(epoll_for(epoll, 1000), EPOLLIN);
	send_all(pair.peer, "b", 1);
	EQ_BITS(epoll_for(epoll, 100), 0);
	OK(epoll_ctl(epoll, EPOLL_CTL_MOD, pair.fd, &event));
	EQ_BITS(epoll_for(epoll, 1000), EPOLLIN);
}

static void epoll_connect(void)
{
	union address address;
	int server = listener_of(peer_family(), 1, &address);
	int fd = make_socket(SOCK_NONBLOCK);
	int epoll = watch(fd, EPOLLIN | EPOLLOUT | EPOLLET);
	int accepting = watch(server, EPOLLIN | EPOLLET);

	EQ_BITS(epoll_for(epoll, 0), EPOLLOUT | EPOLLHUP);
	FAILS(connect_to(fd, &address), EINPROGRESS);
	EQ_BITS(epoll_for(epoll, 2000), EPOLLOUT);
	EQ_BITS(epoll_for(accepting, 2000), EPOLLIN);
	EQ_BITS(epoll_for(epoll, 100), 0);
	EQ(take_error(fd), 0);
}

static void epoll_accept_edge(void)
{
	union address address;
	int fd = listener(4, &address);
	int epoll = watch(fd, EPOLLIN | EPOLLET);

	for (int i = 0; i < 3; i++) {
		OK(connect_to(make_socket_of(peer_family(), 0), &address));
		EQ_BITS(epoll_for(epoll, 1000), EPOLLIN);
		EQ_BITS(epoll_for(epoll, 50), 0);
	}
}

/* A descriptor that closes leaves the set by itself. */
static void epoll_closed(void)
{
	struct pair pair = make_pair();
	int epoll = watch(pair.fd, EPOLLIN);

	send_all(pair.peer, "x", 1);
	EQ_BITS(epoll_for(epoll, 1000), EPOLLIN);
	close(pair.fd);
	EQ_BITS(epoll_for(epoll, 100), 0);
}

static volatile sig_atomic_t told;

static void on_io(int signal)
{
	(void)signal;
	told++;
}

static void signal_driven(void)
{
	struct pair pair = make_pair();

	signal(SIGIO, on_io);
	OK(fcntl(pair.fd, F_SETOWN, getpid()));
	OK(fcntl(pair.fd, F_SETFL, O_ASYNC | O_NONBLOCK));
	send_all(pair.peer, "x", 1);
	for (int i = 0; i < 100 && !told; i++)
		sleep_ms(10);
	CHECK(told > 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(fresh),		CASE(listening),
		CASE(established),	CASE(unwritable),
		CASE(peer_finished),	CASE(both_finished),
		CASE(shut_for_reading),	CASE(was_reset),
		CASE(low_water_mark),	CASE(wakes_for_data),
		CASE(wakes_for_end),	CASE(wakes_for_reset),
		CASE(wakes_for_room),	CASE(wakes_for_own_shutdown),
		CASE(with_select),	CASE(epoll_level),
		CASE(epoll_edge_in),	CASE(epoll_edge_out),
		CASE(epoll_edge_end),	CASE(epoll_reset),
		CASE(epoll_once),	CASE(epoll_connect),
		CASE(epoll_accept_edge), CASE(epoll_closed),
		CASE(signal_driven),
	};

	return RUN_CASES(cases);
}
