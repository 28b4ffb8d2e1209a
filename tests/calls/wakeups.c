// SPDX-License-Identifier: GPL-2.0
/* Who is woken by what, and how often. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>

static int watch(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };
	int epoll = OK(epoll_create1(0));

	OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	return epoll;
}

static uint32_t next_event(int epoll, int timeout)
{
	struct epoll_event event;

	return OK(epoll_wait(epoll, &event, 1, timeout)) ? event.events : 0;
}

/* One event for each arrival, read or not. */
static void edge_each_arrival(void)
{
	struct pair pair = make_pair();
	int epoll = watch(pair.fd, EPOLLIN | EPOLLRDHUP | EPOLLET);

	for (int i = 0; i < 5; i++) {
		send_all(pair.peer, "x", 1);
		EQ_BITS(next_event(epoll, 1000), EPOLLIN);
		EQ_BITS(next_event(epoll, 20), 0);
	}
	OK(shutdown(pair.peer, SHUT_WR));
	EQ_BITS(next_event(epoll, 1000), EPOLLIN | EPOLLRDHUP);
	EQ_BITS(next_event(epoll, 20), 0);
}

static void edge_low_water(void)
{
	struct pair pair = make_pair();
	int epoll;

	set_option(pair.fd, SOL_SOCKET, SO_RCVLOWAT, 10);
	epoll = watch(pair.fd, EPOLLIN | EPOLLET);
	send_all(pair.peer, "123456789", 9);
	EQ_BITS(next_event(epoll, 20), 0);
	send_all(pair.peer, "0", 1);
	EQ_BITS(next_event(epoll, 1000), EPOLLIN);
	send_all(pair.peer, "1", 1);
	EQ_BITS(next_event(epoll, 1000), EPOLLIN);
	EQ_BITS(next_event(epoll, 20), 0);
}

/* Room is told of to those who found none, once. */
static void edge_room(void)
{
	struct pair pair = make_pair_with(16384, 16384);
	int epoll = watch(pair.fd, EPOLLOUT | EPOLLET);
	size_t sent;

	EQ_BITS(next_event(epoll, 1000), EPOLLOUT);
	for (int i = 0; i < 5; i++) {
		char byte;

		send_all(pair.fd, "x", 1);
		EQ(recv(pair.peer, &byte, 1, 0), 1);
		EQ_BITS(next_event(epoll, 60), 0);
	}
	sent = fill(pair.fd);
	while (next_event(epoll, 20))
		;
	for (size_t got = 0; got < sent;) {
		char bytes[4096];

		got += OK(recv(pair.peer, bytes, sizeof(bytes), 0));
	}
	EQ_BITS(next_event(epoll, 1000), EPOLLOUT);
	EQ_BITS(next_event(epoll, 100), 0);
}

static void edge_reset(void)
{
	struct pair pair = make_pair();
	int epoll = watch(pair.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);

	EQ_BITS(next_event(epoll, 1000), EPOLLOUT);
	linger_zero(pair.peer);
	close(pair.peer);
	EQ_BITS(next_event(epoll, 1000), EPOLLIN | EPOLLOUT | EPOLLRDHUP |
					 EPOLLHUP | EPOLLERR);
	EQ_BITS(next_event(epoll, 50), 0);
}

static void edge_urgent(void)
{
	struct pair pair = make_pair();
	int epoll = watch(pair.fd, EPOLLPRI | EPOLLET);

	for (int i = 0; i < 3; i++) {
		EQ(send(pair.peer, "!", 1, MSG_OOB), 1);
		EQ_BITS(next_event(epoll, 1000), EPOLLPRI);
		EQ_BITS(next_event(epoll, 20), 0);
	}
}

/* ---- Processes that wait, and how often they ran ---- */

enum { WAITERS = 3 };

struct waiter {
	pid_t pid;
	long switches;
};

static long switches_of(pid_t pid)
{
	char name[64], line[256];
	long switches = -1;
	FILE *file;

	sprintf(name, "/proc/%d/status", pid);
	file = fopen(name, "r");
	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &switches) == 1)
			break;
	fclose(file);
	CHECK(switches >= 0);
	return switches;
}

static volatile int *returned;

static void begin_waiting(struct waiter *waiters, void (*wait)(void *argument),
			  void *argument)
{
	returned = mmap(NULL, sizeof(*returned), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(returned != MAP_FAILED);
	for (int i = 0; i < WAITERS; i++)
		waiters[i].pid = start(wait, argument);
	/* For all to sleep. */
	sleep_ms(300);
	for (int i = 0; i < WAITERS; i++)
		waiters[i].switches = switches_of(waiters[i].pid);
}

/* How many of them ran since they began to wait, or were asked last. */
static int woken(struct waiter *waiters)
{
	int count = 0;

	sleep_ms(200);
	for (int i = 0; i < WAITERS; i++) {
		long now = switches_of(waiters[i].pid);

		count += now != waiters[i].switches;
		waiters[i].switches = now;
	}
	return count;
}

static void count_and_stay(void)
{
	__atomic_fetch_add(returned, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

static void wait_in_accept(void *argument)
{
	accept_one(*(int *)argument);
	count_and_stay();
}

static void acceptors(void)
{
	struct waiter waiters[WAITERS];
	union address address;
	int fd = listener(8, &address);

	begin_waiting(waiters, wait_in_accept, &fd);
	for (int i = 1; i <= WAITERS; i++) {
		OK(connect_to(make_socket_of(peer_family(), 0), &address));
		EQ(woken(waiters), 1);
		EQ(*returned, i);
	}
}

static void wait_in_epoll(void *argument)
{
	int epoll = watch(*(int *)argument, EPOLLIN | EPOLLEXCLUSIVE);

	CHECK(next_event(epoll, -1) & EPOLLIN);
	count_and_stay();
}

static void exclusive(void)
{
	struct waiter waiters[WAITERS];
	union address address;
	int fd = listener(8, &address);

	begin_waiting(waiters, wait_in_epoll, &fd);
	OK(connect_to(make_socket_of(peer_family(), 0), &address));
	EQ(woken(waiters), 1);
	EQ(*returned, 1);
}

static void wait_in_poll(void *argument)
{
	CHECK(poll_for(*(int *)argument, POLLIN, -1) & POLLIN);
	count_and_stay();
}

static void all_pollers(void)
{
	struct waiter waiters[WAITERS];
	union address address;
	int fd = listener(8, &address);

	begin_waiting(waiters, wait_in_poll, &fd);
	OK(connect_to(make_socket_of(peer_family(), 0), &address));
	EQ(woken(waiters), WAITERS);
	EQ(*returned, WAITERS);
}

/* Who waits for data is not woken by room, nor who waits for room by data. */
static void wait_for_room(void *argument)
{
	CHECK(poll_for(*(int *)argument, POLLOUT, -1) & POLLOUT);
	count_and_stay();
}

static void only_by_the_event(void)
{
	struct pair pair = make_pair_with(16384, 16384);
	struct waiter waiters[WAITERS];
	size_t sent = fill(pair.fd);

	begin_waiting(waiters, wait_for_room, &pair.fd);
	send_all(pair.peer, "x", 1);
	EQ(woken(waiters), 0);
	while (sent) {
		char bytes[65536];

		sent -= OK(recv(pair.peer, bytes, sizeof(bytes), 0));
	}
	EQ(woken(waiters), WAITERS);
}

static void wait_for_much(void *argument)
{
	char bytes[1000];

	EQ(recv(*(int *)argument, bytes, sizeof(bytes), 0), 500);
	count_and_stay();
}

/* A reader sleeps until as much is there as he asked for. */
static void low_water_reader(void)
{
	struct pair pair = make_pair();
	struct waiter waiters[WAITERS];
	char bytes[100] = { 0 };

	set_option(pair.fd, SOL_SOCKET, SO_RCVLOWAT, 500);
	begin_waiting(waiters, wait_for_much, &pair.fd);
	for (int i = 0; i < 4; i++) {
		send_all(pair.peer, bytes, sizeof(bytes));
		EQ(woken(waiters), 0);
	}
	send_all(pair.peer, bytes, sizeof(bytes));
	CHECK(woken(waiters) > 0);
	EQ(*returned, 1);
}

/* ---- Signals ---- */

static const struct timespec soon = { .tv_nsec = 300000000 };

static void ask_for_signals(int fd, int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(fcntl(fd, F_SETOWN, getpid()));
	OK(fcntl(fd, F_SETSIG, number));
	OK(fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK));
}

/* The next signal says so; what else it says is thrown away. */
static void expect_signal(int number, int fd, int code, long band)
{
	siginfo_t info = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	EQ(sigtimedwait(&set, &info, &soon), number);
	EQ(info.si_fd, fd);
	EQ(info.si_code, code);
	EQ_BITS(info.si_band, band);
}

static void expect_no_signal(int number)
{
	struct timespec briefly = { .tv_nsec = 30000000 };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	FAILS(sigtimedwait(&set, &info, &briefly), EAGAIN);
}

static void signal_for_data(void)
{
	struct pair pair = make_pair();
	int number = SIGRTMIN;

	ask_for_signals(pair.fd, number);
	for (int i = 0; i < 3; i++) {
		send_all(pair.peer, "x", 1);
		expect_signal(number, pair.fd, POLL_IN, POLLIN | POLLRDNORM);
	}
	expect_no_signal(number);
	OK(shutdown(pair.peer, SHUT_WR));
	/* For the end, and because there is something to read: the end. */
	expect_signal(number, pair.fd, POLL_IN, POLLIN | POLLRDNORM);
	expect_signal(number, pair.fd, POLL_IN, POLLIN | POLLRDNORM);
	expect_no_signal(number);
}

static void signal_for_last_data(void)
{
	struct pair pair = make_pair();
	int number = SIGRTMIN;

	ask_for_signals(pair.fd, number);
	set_option(pair.peer, IPPROTO_TCP, TCP_CORK, 1);
	send_all(pair.peer, "x", 1);
	OK(shutdown(pair.peer, SHUT_WR));
	expect_signal(number, pair.fd, POLL_IN, POLLIN | POLLRDNORM);
	expect_signal(number, pair.fd, POLL_IN, POLLIN | POLLRDNORM);
	expect_no_signal(number);
}

static void signal_for_both_ends(void)
{
	struct pair pair = make_pair();
	int number = SIGRTMIN;

	ask_for_signals(pair.fd, number);
	OK(shutdown(pair.fd, SHUT_WR));
	await_state(pair.fd, STATE_FIN_WAIT2);
	expect_no_signal(number);
	OK(shutdown(pair.peer, SHUT_WR));
	expect_signal(number, pair.fd, POLL_HUP, POLLHUP | POLLERR);
}

static void signal_for_connection(void)
{
	int number = SIGRTMIN;
	union address address;
	int fd = make_socket(0);
	int server = listener_of(family(), 4, &address);

	ask_for_signals(server, number);
	OK(connect_to(make_socket_of(peer_family(), 0), &address));
	expect_signal(number, server, POLL_IN, POLLIN | POLLRDNORM);
	expect_no_signal(number);
	OK(fcntl(server, F_SETFL, 0));

	ask_for_signals(fd, number);
	FAILS(connect_to(fd, &address), EINPROGRESS);
	expect_signal(number, fd, POLL_OUT, POLLOUT | POLLWRNORM | POLLWRBAND);
	expect_no_signal(number);
}

static void signal_for_room(void)
{
	struct pair pair = make_pair_with(16384, 16384);
	int number = SIGRTMIN;
	size_t sent;

	ask_for_signals(pair.fd, number);
	sent = fill(pair.fd);
	for (;;) {
		struct timespec briefly = { .tv_nsec = 30000000 };
		siginfo_t info;
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, number);
		if (sigtimedwait(&set, &info, &briefly) < 0)
			break;
	}
	/* It is poll or a full buffer that asks. */
	FAILS(send(pair.fd, "x", 1, 0), EAGAIN);
	EQ(events_now(pair.fd), 0);
	while (sent) {
		char bytes[65536];

		sent -= OK(recv(pair.peer, bytes, sizeof(bytes), 0));
	}
	expect_signal(number, pair.fd, POLL_OUT,
		      POLLOUT | POLLWRNORM | POLLWRBAND);
	expect_no_signal(number);
}

static void signal_for_reset(void)
{
	struct pair pair = make_pair();
	int number = SIGRTMIN;

	ask_for_signals(pair.fd, number);
	linger_zero(pair.peer);
	close(pair.peer);
	expect_signal(number, pair.fd, POLL_ERR, POLLERR);
	expect_no_signal(number);
}

static volatile sig_atomic_t told;

static void on_signal(int signal)
{
	(void)signal;
	told++;
}

/* SIGURG goes to the owner with no other condition. */
static void signal_for_urgent(void)
{
	struct pair pair = make_pair();

	signal(SIGURG, on_signal);
	EQ(send(pair.peer, "!", 1, MSG_OOB), 1);
	CHECK(poll_for(pair.fd, POLLPRI, 1000));
	sleep_ms(20);
	EQ(told, 0);
	OK(fcntl(pair.fd, F_SETOWN, getpid()));
	for (int i = 1; i <= 3; i++) {
		EQ(send(pair.peer, "!", 1, MSG_OOB), 1);
		for (int wait = 0; wait < 100 && told < i; wait++)
			sleep_ms(10);
		EQ(told, i);
	}
	/* A group is named by its negative number. */
	OK(fcntl(pair.fd, F_SETOWN, -getpgrp()));
	EQ(fcntl(pair.fd, F_GETOWN), -getpgrp());
	EQ(send(pair.peer, "!", 1, MSG_OOB), 1);
	for (int wait = 0; wait < 100 && told < 4; wait++)
		sleep_ms(10);
	EQ(told, 4);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(edge_each_arrival), CASE(edge_low_water),
		CASE(edge_room),	CASE(edge_reset),
		CASE(edge_urgent),	CASE(acceptors),
		CASE(exclusive),	CASE(all_pollers),
		CASE(only_by_the_event), CASE(low_water_reader),
		CASE(signal_for_data),	CASE(signal_for_last_data),
		CASE(signal_for_both_ends), CASE(signal_for_connection),
		CASE(signal_for_room),	CASE(signal_for_reset),
		CASE(signal_for_urgent),
	};

	return RUN_CASES(cases);
}
