// SPDX-License-Identifier: GPL-2.0
/* Listeners that share a port, and which of several a connection goes to. */
#define _GNU_SOURCE
#include "harness.h"

#include <linux/filter.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>

#define LISTENERS	4
#define BACKLOG		200

/*
 * So many connections, and what each listener gets of them by chance, if all
 * do and if one of them does not: bounds are five standard deviations off.
 */
struct sample {
	int connections;
	int least, most;
	int least_of_three, most_of_three;
};

/* In a slow guest each takes a tenth of a second. */
static const struct sample *sample(void)
{
	static const struct sample large = { 200, 20, 90, 30, 110 };
	static const struct sample small = { 64, 1, 38, 3, 46 };

	return slowness() > 1 ? &small : &large;
}

/* For one to get them all. */
static int few(void)
{
	return slowness() > 1 ? 8 : 20;
}

/* A listener at an address that allows others there; its port is noted. */
static int sharing_of(int af, union address *address)
{
	int fd = make_socket_of(af, SOCK_NONBLOCK);

	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	OK(bind_to(fd, address));
	set_port(address, port_of(local_of(fd)));
	OK(listen(fd, BACKLOG));
	return fd;
}

static int sharing(union address *address)
{
	return sharing_of(family(), address);
}

static void make_group(int *fds, union address *address)
{
	*address = loopback(0);
	for (int i = 0; i < LISTENERS; i++)
		fds[i] = sharing(address);
}

/* How many connections wait at a listener; they are gone afterwards. */
static int waiting(int fd)
{
	int count = 0;
	int child;

	while ((child = accept(fd, NULL, NULL)) >= 0) {
		linger_zero(child);
		close(child);
		count++;
	}
	CHECK(errno == EAGAIN);
	return count;
}

static void connect_many(const union address *address, int count)
{
	for (int i = 0; i < count; i++) {
		int fd = make_socket_of(peer_family(), 0);

		OK(connect_to(fd, address));
		close(fd);
	}
}

/* How many each listener has got; they are so many. */
static void counts(const int *fds, int *got, int count)
{
	int sum = 0;

	for (int i = 0; i < LISTENERS; i++) {
		got[i] = fds[i] < 0 ? 0 : waiting(fds[i]);
		sum += got[i];
	}
	EQ(sum, count);
}

static void spread(const union address *address, int count, const int *fds,
		   int *got)
{
	connect_many(address, count);
	counts(fds, got, count);
}

static void expect_all_at(int chosen, const union address *address,
			  const int *fds)
{
	int got[LISTENERS];

	spread(address, few(), fds, got);
	EQ(got[chosen], few());
}

/* Each gets a share that chance allows. */
static void expect_shares(const union address *address, const int *fds)
{
	int got[LISTENERS];

	spread(address, sample()->connections, fds, got);
	for (int i = 0; i < LISTENERS; i++)
		BETWEEN(got[i], sample()->least, sample()->most);
}

/* Where one of the others is not there. */
static void expect_shares_but_of(int missing, const union address *address,
				 const int *fds)
{
	int got[LISTENERS];

	spread(address, sample()->connections, fds, got);
	for (int i = 0; i < LISTENERS; i++) {
		if (i == missing)
			EQ(got[i], 0);
		else
			BETWEEN(got[i], sample()->least_of_three,
				sample()->most_of_three);
	}
}

static void by_hash(void)
{
	union address address;
	int fds[LISTENERS];
	int got[LISTENERS];

	own_netns();
	make_group(fds, &address);
	expect_shares(&address, fds);
	/* Without one, the others have all; one that comes has its share. */
	close(fds[1]);
	fds[1] = -1;
	expect_shares_but_of(1, &address, fds);
	fds[1] = sharing(&address);
	expect_shares(&address, fds);
	/* So it is for one that shuts down, and listens once more. */
	OK(shutdown(fds[2], SHUT_RDWR));
	connect_many(&address, sample()->connections);
	OK(listen(fds[2], BACKLOG));
	counts(fds, got, sample()->connections);
	EQ(got[2], 0);
	expect_shares(&address, fds);
}

/* Listeners of both families have their shares, as if they were of one. */
static void with_other_family(void)
{
	union address address = loopback(0);
	union address any;
	int fds[LISTENERS];

	own_netns();
	for (int i = 0; i < LISTENERS; i++)
		fds[i] = sharing_of(i % 2 ? other_family() : family(), &address);
	expect_shares(&address, fds);
	close(fds[0]);
	fds[0] = -1;
	expect_shares_but_of(0, &address, fds);
	for (int i = 0; i < LISTENERS; i++)
		close(fds[i]);
	/* Who is bound to the address comes first, whichever that is. */
	for (int i = 0; i < 2; i++) {
		int af = i ? other_family() : family();
		int rest = i ? family() : other_family();
		int at_address, at_any;

		any = wildcard(0);
		at_any = sharing_of(rest, &any);
		set_port(&address, port_of(any));
		at_address = sharing_of(af, &address);
		connect_many(&address, 10);
		EQ(waiting(at_address), 10);
		EQ(waiting(at_any), 0);
	}
}

static int attach(int fd, struct sock_filter *code, int count)
{
	struct sock_fprog program = { .len = count, .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
			  sizeof(program));
}

static int attach_constant(int fd, unsigned int value)
{
	struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, value) };

	return attach(fd, code, 1);
}

static int detach(int fd)
{
	int none = 0;

	return setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &none,
			  sizeof(none));
}

static void by_program(void)
{
	union address address;
	int fds[LISTENERS];
	int alone;

	own_netns();
	make_group(fds, &address);
	FAILS(detach(fds[0]), ENOENT);
	for (int i = 0; i < LISTENERS; i++) {
		/* It is the group's, whoever attached it. */
		OK(attach_constant(fds[(i + 1) % LISTENERS], i));
		expect_all_at(i, &address, fds);
	}
	/* What it chooses must be there. */
	OK(attach_constant(fds[0], LISTENERS));
	expect_shares(&address, fds);
	OK(attach_constant(fds[0], 1));
	OK(detach(fds[3]));
	expect_shares(&address, fds);
	FAILS(detach(fds[3]), ENOENT);

	alone = make_socket(0);
	FAILS(attach_constant(alone, 0), EINVAL);
	FAILS(detach(alone), EINVAL);
	OK(listen(alone, 1));
	FAILS(attach_constant(alone, 0), EINVAL);
	set_option(alone, SOL_SOCKET, SO_REUSEPORT, 1);
	FAILS(attach_constant(alone, 0), EINVAL);
	FAILS(detach(alone), ENOENT);
}

/* A program sees the SYN: it begins at the payload, headers are before. */
static void by_port(void)
{
	struct sock_filter code[] = {
		/* The client's port. */
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, SKF_NET_OFF + (v6() ? 40 : 20)),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, LISTENERS - 1),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_filter length[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	union address address;
	int fds[LISTENERS];

	own_netns();
	make_group(fds, &address);
	OK(attach(fds[0], code, 3));
	for (int i = 0; i < few(); i++) {
		int fd = make_socket_of(peer_family(), 0);
		int child;

		OK(connect_to(fd, &address));
		child = OK(accept(fds[port_of(local_of(fd)) % LISTENERS], NULL,
				  NULL));
		send_pattern(fd, 0, 100);
		recv_pattern(child, 0, 100);
	}
	/* A SYN has no payload. */
	OK(attach(fds[0], length, 2));
	expect_all_at(0, &address, fds);
}

/* Attached first, it is there from the first SYN on; others join. */
static void program_first(void)
{
	union address address = loopback(0);
	int first = make_socket(SOCK_NONBLOCK);
	int second;

	own_netns();
	close(first);
	first = make_socket(SOCK_NONBLOCK);
	set_option(first, SOL_SOCKET, SO_REUSEPORT, 1);
	OK(attach_constant(first, 1));
	OK(bind_to(first, &address));
	set_port(&address, port_of(local_of(first)));
	OK(listen(first, BACKLOG));
	second = sharing(&address);
	connect_many(&address, few());
	EQ(waiting(first), 0);
	EQ(waiting(second), few());
	/* One that brings its own program is of no group. */
	{
		int third = make_socket(0);

		set_option(third, SOL_SOCKET, SO_REUSEPORT, 1);
		OK(attach_constant(third, 0));
		FAILS(bind_to(third, &address), EADDRINUSE);
	}
}

/* SO_INCOMING_CPU: the listener of the CPU that takes the SYN in. */
static void by_cpu(void)
{
	union address address;
	int fds[LISTENERS];
	int got[LISTENERS];
	cpu_set_t set;

	own_netns();
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	OK(sched_setaffinity(0, sizeof(set), &set));
	make_group(fds, &address);
	for (int i = 0; i < LISTENERS; i++)
		set_option(fds[i], SOL_SOCKET, SO_INCOMING_CPU, i == 2 ? 0 : 100);
	expect_all_at(2, &address, fds);
	/* With none for it, everybody. */
	set_option(fds[2], SOL_SOCKET, SO_INCOMING_CPU, 100);
	spread(&address, sample()->connections, fds, got);
	for (int i = 0; i < LISTENERS; i++)
		CHECK(got[i] > 0);
}

/* Another user's listener cannot join. */
static void other_user(void)
{
	union address address;
	int fds[LISTENERS];
	int fd;

	own_netns();
	make_group(fds, &address);
	setfsuid(65534);
	fd = make_socket(0);
	setfsuid(0);
	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	FAILS(bind_to(fd, &address), EADDRINUSE);
	/* In TIME-WAIT it is nobody's. */
	for (int i = 0; i < LISTENERS; i++) {
		int client, child;

		if (i) {
			close(fds[i]);
			continue;
		}
		OK(attach_constant(fds[0], 0));
		client = make_socket_of(peer_family(), 0);
		OK(connect_to(client, &address));
		child = OK(accept(fds[0], NULL, NULL));
		FAILS(bind_to(fd, &address), EADDRINUSE);
		close(fds[0]);
		close(child);
		expect_end(client);
		close(client);
		sleep_ms(50);
	}
	OK(bind_to(fd, &address));
	OK(listen(fd, 1));
}

/* The address before none, a device before none: whoever is more special. */
static void most_special(void)
{
	union address any = wildcard(0);
	union address address;
	union address second;
	int at_any, at_address, at_device;

	own_netns();
	at_any = sharing(&any);
	address = loopback(port_of(any));
	at_address = sharing(&address);
	second = second_local(port_of(any));
	connect_many(&address, 10);
	connect_many(&second, 5);
	EQ(waiting(at_address), 10);
	EQ(waiting(at_any), 5);
	close(at_address);
	connect_many(&address, 10);
	EQ(waiting(at_any), 10);

	/*
	 * A group is taken as soon as one of it suits, so that it depends on
	 * the order whether the one of the device comes before that of none:
	 * IPv4 asks the last first, IPv6 the first.
	 */
	at_device = make_socket(SOCK_NONBLOCK);
	set_option(at_device, SOL_SOCKET, SO_REUSEPORT, 1);
	OK(setsockopt(at_device, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	OK(bind_to(at_device, &any));
	OK(listen(at_device, 20));
	connect_many(&address, 6);
	EQ(waiting(at_device), v6() ? 0 : 6);
	EQ(waiting(at_any), v6() ? 6 : 0);
	close(at_any);
	connect_many(&address, 6);
	EQ(waiting(at_device), 6);
}

/* Listeners of two devices at one port: each has its own connections. */
static void by_device(void)
{
	union address any = wildcard(0);
	union address near = near_address(0);
	union address here;
	int listeners[2];
	struct link link;
	int fd;

	link = make_link(NULL);
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "lo" : "near";

		listeners[i] = make_socket(SOCK_NONBLOCK);
		OK(setsockopt(listeners[i], SOL_SOCKET, SO_BINDTODEVICE, name,
			      strlen(name) + 1));
		OK(bind_to(listeners[i], &any));
		set_port(&any, port_of(local_of(listeners[i])));
		OK(listen(listeners[i], 10));
	}
	set_port(&near, port_of(any));
	/* What stays here comes through the device that has the address. */
	here = loopback(port_of(any));
	connect_many(&here, 3);
	EQ(waiting(listeners[0]), 0);
	EQ(waiting(listeners[1]), 3);
	connect_many(&near, 2);
	EQ(waiting(listeners[0]), 2);
	EQ(waiting(listeners[1]), 0);
	enter_netns(link.far);
	connect_many(&near, 4);
	enter_netns(link.near);
	EQ(waiting(listeners[0]), 4);
	EQ(waiting(listeners[1]), 0);
	/* Its connections hear that device only. */
	enter_netns(link.far);
	fd = make_socket_of(peer_family(), 0);
	OK(connect_to(fd, &near));
	enter_netns(link.near);
	{
		int child = OK(accept(listeners[0], NULL, NULL));
		char name[16] = "";
		socklen_t length = sizeof(name);

		OK(getsockopt(child, SOL_SOCKET, SO_BINDTODEVICE, name, &length));
		CHECK(strcmp(name, "near") == 0);
		send_pattern(fd, 0, 1000);
		recv_pattern(child, 0, 1000);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(by_hash),		CASE(with_other_family),
		CASE(by_program),
		CASE(by_port),		CASE(program_first),
		CASE(by_cpu),		CASE(other_user),
		CASE(most_special),	CASE(by_device),
	};

	return RUN_CASES(cases);
}
