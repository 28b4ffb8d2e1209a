// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define EXIT_SKIP	4
#define DEADLINE	30	/* seconds, unless the case says more */

const char *error_name(int error)
{
	const char *name = error ? strerrorname_np(error) : "0";

	return name ? name : "unknown";
}

void fail_at(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	printf("# %s:%d: ", file, line);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

void skip(const char *format, ...)
{
	va_list arguments;

	printf("# skipped: ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
	_exit(EXIT_SKIP);
}

static const char *running;

const char *case_name(void)
{
	return running;
}

static void run_alone(const struct test_case *test)
{
	running = test->name;
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	test->run();
	fflush(stdout);
	_exit(0);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* Emulated processors and a kernel that checks everything take their time. */
unsigned int slowness(void)
{
	const char *vm = getenv("VM");

	if (vm && strcmp(vm, "debug") == 0)
		return 10;
	return vm && strcmp(vm, "stock") == 0 ? 4 : 1;
}

unsigned long fewer(unsigned long count)
{
	return count / slowness();
}

/* The case's exit status; 128 + signal when one ended it, -1 at the deadline. */
static int run_case(const struct test_case *test)
{
	struct sigaction action = { .sa_handler = on_alarm };
	pid_t child;
	int status;
	int result = -1;

	fflush(stdout);
	child = fork();
	if (child < 0)
		return 1;
	if (child == 0)
		run_alone(test);
	setpgid(child, child);

	sigaction(SIGALRM, &action, NULL);
	alarm((test->deadline ? test->deadline : DEADLINE) * slowness());
	if (waitpid(child, &status, 0) == child) {
		if (WIFEXITED(status))
			result = WEXITSTATUS(status);
		else
			result = 128 + WTERMSIG(status);
	}
	alarm(0);
	kill(-child, SIGKILL);
	if (result == -1)
		waitpid(child, &status, 0);
	return result;
}

/* CASES="one another" runs only these. */
static bool is_wanted(const char *name)
{
	const char *wanted = getenv("CASES");
	size_t length = strlen(name);

	if (!wanted || !*wanted)
		return true;
	while (*wanted) {
		size_t word = strcspn(wanted, " ");

		if (word == length && strncmp(wanted, name, length) == 0)
			return true;
		wanted += word;
		wanted += strspn(wanted, " ");
	}
	return false;
}

/* How many words CASES has; 0 is all cases. */
static size_t wanted_names(void)
{
	const char *wanted = getenv("CASES");
	size_t count = 0;

	while (wanted && *(wanted += strspn(wanted, " "))) {
		wanted += strcspn(wanted, " ");
		count++;
	}
	return count;
}

int run_cases(const struct test_case *cases, size_t count)
{
	size_t failed = 0;
	size_t skipped = 0;
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += is_wanted(cases[i].name);
	if (wanted_names() && found != wanted_names()) {
		printf("Bail out! CASES names what is no case\n");
		return 1;
	}
	printf("KTAP version 1\n1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		int version = v6() ? 6 : 4;
		int result = EXIT_SKIP;
		long long began = now_ms();

		if (cases[i].version && cases[i].version != version)
			printf("# only of IPv%d\n", cases[i].version);
		else if (is_wanted(cases[i].name))
			result = run_case(&cases[i]);
		if (result == -1)
			printf("# still running at its deadline\n");
		else if (result > 128)
			printf("# ended by signal %s\n",
			       strsignal(result - 128));
		if (result == EXIT_SKIP) {
			printf("ok %zu %s # SKIP\n", i + 1, cases[i].name);
			skipped++;
		} else if (result == 0) {
			printf("ok %zu %s # %lld ms\n", i + 1, cases[i].name,
			       now_ms() - began);
		} else {
			printf("not ok %zu %s\n", i + 1, cases[i].name);
			failed++;
		}
	}
	fflush(stdout);
	if (failed)
		return 1;
	return skipped == count ? EXIT_SKIP : 0;
}

int get_option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	OK(getsockopt(fd, level, name, &value, &length));
	EQ(length, sizeof(value));
	return value;
}

void set_option(int fd, int level, int name, int value)
{
	OK(setsockopt(fd, level, name, &value, sizeof(value)));
}

void set_ip_option(int fd, int v4_name, int v6_name, int value)
{
	if (v6())
		set_option(fd, IPPROTO_IPV6, v6_name, value);
	else
		set_option(fd, IPPROTO_IP, v4_name, value);
}

void linger_zero(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

int take_error(int fd)
{
	return get_option(fd, SOL_SOCKET, SO_ERROR);
}

int tcp_state(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	CHECK(length > offsetof(struct tcp_info, tcpi_options));
	return info.tcpi_state;
}

void await_state(int fd, int state)
{
	for (int i = 0; i < 500; i++) {
		if (tcp_state(fd) == state)
			return;
		sleep_ms(10);
	}
	EQ(tcp_state(fd), state);
}

void set_nonblocking(int fd, bool on)
{
	int flags = OK(fcntl(fd, F_GETFL));

	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	OK(fcntl(fd, F_SETFL, flags));
}

short poll_for(int fd, short events, int timeout)
{
	struct pollfd entry = { .fd = fd, .events = events };

	OK(poll(&entry, 1, timeout));
	return entry.revents;
}

short events_now(int fd)
{
	return poll_for(fd, POLL_ALL, 0);
}

void send_all(int fd, const void *data, size_t length)
{
	while (length) {
		size_t sent = OK(send(fd, data, length, MSG_NOSIGNAL));

		CHECK(sent > 0 && sent <= length);
		data = (const char *)data + sent;
		length -= sent;
	}
}

void recv_all(int fd, void *data, size_t length)
{
	while (length) {
		size_t got = OK(recv(fd, data, length, 0));

		if (got == 0)
			FAIL("the stream ended %zu bytes early", length);
		CHECK(got <= length);
		data = (char *)data + got;
		length -= got;
	}
}

void expect_end(int fd)
{
	char byte;

	EQ(recv(fd, &byte, 1, 0), 0);
}

size_t fill(int fd)
{
	static char zeros[65536];
	bool waited = false;
	size_t sum = 0;

	for (;;) {
		ssize_t sent = send(fd, zeros, sizeof(zeros),
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0) {
			CHECK(errno == EAGAIN);
			if (waited)
				return sum;
			/*
			 * What is under way may still make room, though not
			 * enough for poll to tell of it, and what is less than
			 * a segment goes only when a timer says so.
			 */
			waited = !(poll_for(fd, POLLOUT, 1000) & POLLOUT);
			continue;
		}
		waited = false;
		sum += sent;
	}
}

static uint8_t pattern_byte(uint64_t place)
{
	return place * 167 + (place >> 8) * 13 + (place >> 16) * 7;
}

void pattern_fill(void *data, uint64_t offset, size_t length)
{
	uint8_t *bytes = data;

	for (size_t i = 0; i < length; i++)
		bytes[i] = pattern_byte(offset + i);
}

void pattern_check(const void *data, uint64_t offset, size_t length)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < length; i++)
		if (bytes[i] != pattern_byte(offset + i))
			FAIL("byte %llu of the stream is wrong",
			     (unsigned long long)(offset + i));
}

#define PIECE	16384

void send_pattern(int fd, uint64_t offset, size_t length)
{
	char piece[PIECE];

	while (length) {
		size_t part = length < PIECE ? length : PIECE;

		pattern_fill(piece, offset, part);
		send_all(fd, piece, part);
		offset += part;
		length -= part;
	}
}

void recv_pattern(int fd, uint64_t offset, size_t length)
{
	char piece[PIECE];

	while (length) {
		size_t part = length < PIECE ? length : PIECE;
		size_t got = OK(recv(fd, piece, part, 0));

		if (got == 0)
			FAIL("the stream ended %zu bytes early", length);
		pattern_check(piece, offset, got);
		offset += got;
		length -= got;
	}
}

pid_t start(void (*run)(void *argument), void *argument)
{
	pid_t child;

	fflush(stdout);
	child = OK(fork());
	if (child == 0) {
		run(argument);
		fflush(stdout);
		_exit(0);
	}
	return child;
}

void finish(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) != child)
		CHECK(errno == EINTR);
	if (WIFSIGNALED(status))
		FAIL("the other process ended by signal %s",
		     strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
}

void sleep_ms(unsigned int milliseconds)
{
	struct timespec rest = {
		.tv_sec = milliseconds / 1000,
		.tv_nsec = milliseconds % 1000 * 1000000L,
	};

	while (nanosleep(&rest, &rest) < 0)
		CHECK(errno == EINTR);
}

long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void interrupt_after(unsigned int milliseconds, int flags)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = flags };
	struct itimerval timer = {
		.it_value.tv_sec = milliseconds / 1000,
		.it_value.tv_usec = milliseconds % 1000 * 1000L,
	};

	OK(sigaction(SIGALRM, &action, NULL));
	OK(setitimer(ITIMER_REAL, &timer, NULL));
}
