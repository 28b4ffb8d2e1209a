// SPDX-License-Identifier: GPL-2.0
/* listen and accept. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static int connected_to(const union address *address)
{
	int fd = make_socket_of(peer_family(), 0);

	OK(connect_to(fd, address));
	return fd;
}

static void not_listening(void)
{
	struct pair pair = make_pair();

	FAILS(accept(make_socket(0), NULL, NULL), EINVAL);
	FAILS(accept(bound(family(), 0), NULL, NULL), EINVAL);
	FAILS(accept(pair.fd, NULL, NULL), EINVAL);
	FAILS(listen(pair.fd, 1), EINVAL);
}

static void unbound(void)
{
	int fd = make_socket(0);
	union address address;
	int client;

	OK(listen(fd, 1));
	EQ(get_option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	EQ(tcp_state(fd), STATE_LISTEN);
	address = local_of(fd);
	EQ_HOST(address, wildcard(0));
	CHECK(port_of(address) != 0);
	/* 0.0.0.0 as a destination means this machine. */
	client = connected_to(&address);
	EQ_HOST(remote_of(client), loopback(0));
	EQ_HOST(local_of(accept_one(fd)), loopback(0));
}

static void again(void)
{
	union address address;
	int fd = listener(1, &address);

	OK(listen(fd, 5));
	EQ(port_of(local_of(fd)), port_of(address));
	connected_to(&address);
	accept_one(fd);
}

static void unusable(void)
{
	union address address;
	union address name;
	socklen_t length = sizeof(name);
	int fd = listener(1, &address);
	char byte;

	FAILS(connect_to(fd, &address), EISCONN);
	FAILS(recv(fd, &byte, 1, 0), ENOTCONN);
	FAILS(send(fd, &byte, 1, MSG_NOSIGNAL), EPIPE);
	FAILS(getpeername(fd, &name.any, &length), ENOTCONN);
	FAILS(bind_to(fd, &address), EINVAL);
}

static void would_block(void)
{
	union address address;
	int fd = listener(1, &address);

	set_nonblocking(fd, true);
	FAILS(accept(fd, NULL, NULL), EAGAIN);
	EQ_BITS(events_now(fd), 0);
	connected_to(&address);
	EQ_BITS(poll_for(fd, POLLIN, 1000), POLLIN);
	accept_one(fd);
	FAILS(accept(fd, NULL, NULL), EAGAIN);
	EQ_BITS(events_now(fd), 0);
}

static void flags(void)
{
	union address address;
	int fd = listener(8, &address);
	int child;

	set_nonblocking(fd, true);
	for (int i = 0; i < 4; i++)
		connected_to(&address);

	/* Neither flag passes from the listener to the child. */
	child = accept_one(fd);
	EQ(fcntl(child, F_GETFL), O_RDWR);
	EQ(fcntl(child, F_GETFD), 0);
	child = OK(accept4(fd, NULL, NULL, SOCK_NONBLOCK));
	EQ(fcntl(child, F_GETFL), O_RDWR | O_NONBLOCK);
	EQ(fcntl(child, F_GETFD), 0);
	child = OK(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
	EQ(fcntl(child, F_GETFL), O_RDWR);
	EQ(fcntl(child, F_GETFD), FD_CLOEXEC);
	FAILS(accept4(fd, NULL, NULL, 1), EINVAL);
	OK(accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

static void names(void)
{
	union address address;
	union address peer;
	socklen_t length = sizeof(peer);
	int fd = listener(1, &address);
	int client = connected_to(&address);
	union address client_name = local_of(client);
	char part[4];
	int child;

	memset(&peer, 0xff, sizeof(peer));
	child = OK(accept(fd, &peer.any, &length));
	EQ(length, length_of(&client_name));
	EQ_ADDRESS(peer, client_name);
	EQ_ADDRESS(local_of(child), address);
	EQ_ADDRESS(remote_of(child), client_name);
	EQ_ADDRESS(remote_of(client), address);

	/* A short buffer gets what fits, and learns the true length. */
	connected_to(&address);
	length = sizeof(part);
	OK(accept(fd, (struct sockaddr *)part, &length));
	EQ(length, length_of(&client_name));
	connected_to(&address);
	length = -1;
	FAILS(accept(fd, (struct sockaddr *)part, &length), EINVAL);
}

static void child_state(void)
{
	union address address;
	int fd = listener(1, &address);
	int client = connected_to(&address);
	int child = accept_one(fd);

	EQ(tcp_state(child), STATE_ESTABLISHED);
	EQ(tcp_state(client), STATE_ESTABLISHED);
	EQ(get_option(child, SOL_SOCKET, SO_ACCEPTCONN), 0);
	EQ(get_option(child, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
}

/* The handshake, data and even the end do not wait for accept. */
static void before_accept(void)
{
	union address address;
	int fd = listener(1, &address);
	int client = connected_to(&address);
	int child;

	send_pattern(client, 0, 10000);
	OK(shutdown(client, SHUT_WR));
	await_state(client, STATE_FIN_WAIT2);
	child = accept_one(fd);
	recv_pattern(child, 0, 10000);
	expect_end(child);
	EQ(tcp_state(child), STATE_CLOSE_WAIT);
	send_pattern(child, 0, 100);
	recv_pattern(client, 0, 100);
}

static void reset_before_accept(void)
{
	union address address;
	int fd = listener(1, &address);
	int client = connected_to(&address);
	int child;
	char byte;

	linger_zero(client);
	close(client);
	sleep_ms(100);
	child = accept_one(fd);
	FAILS(recv(child, &byte, 1, 0), ECONNRESET);
}

static void in_order(void)
{
	union address address;
	int fd = listener(10, &address);
	int clients[8];

	for (int i = 0; i < 8; i++)
		clients[i] = connected_to(&address);
	for (int i = 0; i < 8; i++)
		EQ(port_of(remote_of(accept_one(fd))),
		   port_of(local_of(clients[i])));
}

static int begin_connect(const union address *address)
{
	int fd = make_socket_of(peer_family(), SOCK_NONBLOCK);

	FAILS(connect_to(fd, address), EINPROGRESS);
	return fd;
}

/*
 * A backlog of N lets N + 1 wait. Who comes later is kept waiting, and is let
 * in by his next SYN or ACK after there is room.
 */
static void backlog_full(void)
{
	union address address;
	int fd = listener(1, &address);
	int clients[3];

	clients[0] = begin_connect(&address);
	CHECK(poll_for(clients[0], POLLOUT, 1000));
	clients[1] = begin_connect(&address);
	CHECK(poll_for(clients[1], POLLOUT, 1000));
	clients[2] = begin_connect(&address);
	/* Ignored, not refused. */
	EQ_BITS(poll_for(clients[2], POLLOUT, 500), 0);
	EQ(take_error(clients[2]), 0);

	EQ(port_of(remote_of(accept_one(fd))), port_of(local_of(clients[0])));
	EQ(port_of(remote_of(accept_one(fd))), port_of(local_of(clients[1])));
	EQ_BITS(poll_for(clients[2], POLLOUT, 5000), POLLOUT);
	EQ_BITS(poll_for(fd, POLLIN, 5000), POLLIN);
	EQ(port_of(remote_of(accept_one(fd))), port_of(local_of(clients[2])));
}

static void connect_later(void *argument)
{
	sleep_ms(200);
	connected_to(argument);
	sleep_ms(500);
}

static void waits(void)
{
	union address address;
	int fd = listener(1, &address);
	pid_t child = start(connect_later, &address);
	long long before = now_ms();

	accept_one(fd);
	BETWEEN(now_ms() - before, 100, 5000);
	finish(child);
}

static void accept_timeout(void)
{
	union address address;
	struct timeval limit = { .tv_usec = 200000 };
	int fd = listener(1, &address);
	long long before = now_ms();

	OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	FAILS(accept(fd, NULL, NULL), EAGAIN);
	BETWEEN(now_ms() - before, 150, 3000);
}

static void interrupted(void)
{
	union address address;
	int fd = listener(1, &address);
	long long before = now_ms();

	interrupt_after(200, 0);
	FAILS(accept(fd, NULL, NULL), EINTR);
	BETWEEN(now_ms() - before, 150, 3000);
}

static void restarted(void)
{
	union address address;
	int fd = listener(1, &address);
	pid_t child = start(connect_later, &address);

	interrupt_after(50, SA_RESTART);
	accept_one(fd);
	finish(child);
}

static void *argument_of(int fd)
{
	static int kept;

	kept = fd;
	return &kept;
}

static void accept_until_error(void *argument)
{
	FAILS(accept(*(int *)argument, NULL, NULL), EINVAL);
}

static void shut_while_waiting(void)
{
	union address address;
	int fd = listener(1, &address);
	pid_t child = start(accept_until_error, argument_of(fd));

	sleep_ms(200);
	OK(shutdown(fd, SHUT_RDWR));
	finish(child);
}

/* One arrival wakes one of those who wait. */
static void accept_and_tell(void *argument)
{
	int child = accept_one(*(int *)argument);

	EQ(write(child, "!", 1), 1);
	sleep_ms(1000);
}

static void several_wait(void)
{
	union address address;
	int fd = listener(4, &address);
	pid_t waiting[3];
	int clients[3];
	char byte;

	for (int i = 0; i < 3; i++)
		waiting[i] = start(accept_and_tell, argument_of(fd));
	sleep_ms(100);
	for (int i = 0; i < 3; i++)
		clients[i] = connected_to(&address);
	for (int i = 0; i < 3; i++)
		EQ(read(clients[i], &byte, 1), 1);
	for (int i = 0; i < 3; i++)
		finish(waiting[i]);
}

static void closed_with_waiting(void)
{
	union address address;
	int fd = listener(4, &address);
	int first = connected_to(&address);
	int second = connected_to(&address);
	int late = make_socket_of(peer_family(), 0);
	char byte;

	close(fd);
	/* Nobody will ever accept these. */
	FAILS(recv(first, &byte, 1, 0), ECONNRESET);
	FAILS(recv(second, &byte, 1, 0), ECONNRESET);
	FAILS(connect_to(late, &address), ECONNREFUSED);
}

static void child_outlives(void)
{
	union address address;
	int fd = listener(4, &address);
	int client = connected_to(&address);
	int child = accept_one(fd);

	close(fd);
	send_pattern(client, 0, 50000);
	recv_pattern(child, 0, 50000);
	send_pattern(child, 0, 50000);
	recv_pattern(client, 0, 50000);
	close(child);
	expect_end(client);
}

static void inherited_options(void)
{
	union address address;
	int fd = listener(1, &address);
	int child;

	set_option(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, 1);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, 20000);
	set_option(fd, SOL_SOCKET, SO_SNDBUF, 30000);
	connected_to(&address);
	child = accept_one(fd);
	EQ(get_option(child, IPPROTO_TCP, 1), 1);
	EQ(get_option(child, SOL_SOCKET, SO_RCVBUF), 40000);
	EQ(get_option(child, SOL_SOCKET, SO_SNDBUF), 60000);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(not_listening),	CASE(unbound),
		CASE(again),		CASE(unusable),
		CASE(would_block),	CASE(flags),
		CASE(names),		CASE(child_state),
		CASE(before_accept),	CASE(reset_before_accept),
		CASE(in_order),		CASE(backlog_full),
		CASE(waits),		CASE(accept_timeout),
		CASE(interrupted),	CASE(restarted),
		CASE(shut_while_waiting), CASE(several_wait),
		CASE(closed_with_waiting), CASE(child_outlives),
		CASE(inherited_options),
	};

	return RUN_CASES(cases);
}
