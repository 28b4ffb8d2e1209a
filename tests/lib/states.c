// SPDX-License-Identifier: GPL-2.0
/* Sockets in each state that there is. */
#define _GNU_SOURCE
#include "states.h"

#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>

static void pair_up(struct scene *s)
{
	struct pair pair = make_pair();

	s->fd = pair.fd;
	s->peer = pair.peer;
}

void deafen(int fd)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { .len = 1, .filter = &drop };

	OK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
		      sizeof(program)));
}

static void fresh(struct scene *s)
{
	s->fd = make_socket(0);
}

static void bound_only(struct scene *s)
{
	s->fd = bound(family(), 0);
}

static void listening(struct scene *s)
{
	union address address;

	s->fd = listener(4, &address);
}

static void acceptable(struct scene *s)
{
	union address address;

	s->fd = listener(4, &address);
	s->peer = make_socket_of(peer_family(), 0);
	OK(connect_to(s->peer, &address));
	CHECK(poll_for(s->fd, POLLIN, 2000));
}

static void connecting(struct scene *s)
{
	union address address;

	s->holder = listener_of(peer_family(), 4, &address);
	deafen(s->holder);
	s->fd = make_socket(SOCK_NONBLOCK);
	FAILS(connect_to(s->fd, &address), EINPROGRESS);
}

static void connecting_shut(struct scene *s)
{
	connecting(s);
	OK(shutdown(s->fd, SHUT_RDWR));
}

static void connecting_disconnected(struct scene *s)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	connecting(s);
	OK(connect(s->fd, &none, sizeof(none)));
}

/* Fast Open of clients and servers, without cookies, for all listeners. */
static void allow_fast_open(void)
{
	static bool allowed;

	if (!allowed) {
		own_netns();
		shell("echo 0x607 >/proc/sys/net/ipv4/tcp_fastopen");
		allowed = true;
	}
}

/* Its SYN has data, and no answer. */
static void connecting_with_data(struct scene *s)
{
	union address address;

	allow_fast_open();
	s->holder = listener_of(peer_family(), 4, &address);
	deafen(s->holder);
	s->fd = make_socket(SOCK_NONBLOCK);
	EQ(sendto(s->fd, "abc", 3, MSG_FASTOPEN, &address.any,
		  length_of(&address)), 3);
}

/* Accepted before its SYN-ACK is acknowledged. */
static void opening_readable(struct scene *s)
{
	union address address;

	allow_fast_open();
	s->holder = listener(4, &address);
	s->peer = make_socket_of(peer_family(), SOCK_NONBLOCK);
	deafen(s->peer);
	EQ(sendto(s->peer, "abc", 3, MSG_FASTOPEN, &address.any,
		  length_of(&address)), 3);
	CHECK(poll_for(s->holder, POLLIN, 2000));
	s->fd = accept_one(s->holder);
}

static void opening(struct scene *s)
{
	char bytes[10];

	opening_readable(s);
	EQ(recv(s->fd, bytes, sizeof(bytes), 0), 3);
}

static void opening_shut(struct scene *s)
{
	opening(s);
	OK(shutdown(s->fd, SHUT_WR));
}

static void refused(struct scene *s)
{
	union address address = loopback(unused_port());

	s->fd = make_socket(SOCK_NONBLOCK);
	FAILS(connect_to(s->fd, &address), EINPROGRESS);
	CHECK(poll_for(s->fd, POLLOUT, 2000) & POLLERR);
}

static void refused_taken(struct scene *s)
{
	refused(s);
	EQ(take_error(s->fd), ECONNREFUSED);
}

static void refused_blocking(struct scene *s)
{
	union address address = loopback(unused_port());

	s->fd = make_socket(0);
	FAILS(connect_to(s->fd, &address), ECONNREFUSED);
}

/* connect() has not been told of the success. */
static void connected_untold(struct scene *s)
{
	union address address;

	s->holder = listener_of(peer_family(), 4, &address);
	s->fd = make_socket(SOCK_NONBLOCK);
	FAILS(connect_to(s->fd, &address), EINPROGRESS);
	EQ_BITS(poll_for(s->fd, POLLOUT, 2000), POLLOUT);
}

static void connected_untold_shut(struct scene *s)
{
	connected_untold(s);
	OK(shutdown(s->fd, SHUT_WR));
	await_state(s->fd, STATE_FIN_WAIT2);
}

static void established(struct scene *s)
{
	pair_up(s);
}

static void to_itself(struct scene *s)
{
	union address address;

	s->fd = bound(family(), 0);
	address = local_of(s->fd);
	OK(connect_to(s->fd, &address));
}

static void readable(struct scene *s)
{
	pair_up(s);
	send_all(s->peer, "abc", 3);
	CHECK(poll_for(s->fd, POLLIN, 2000));
}

static void urgent(struct scene *s)
{
	pair_up(s);
	EQ(send(s->peer, "a!", 2, MSG_OOB), 2);
	CHECK(poll_for(s->fd, POLLPRI, 2000));
}

static void at_mark(struct scene *s)
{
	pair_up(s);
	EQ(send(s->peer, "!", 1, MSG_OOB), 1);
	CHECK(poll_for(s->fd, POLLPRI, 2000));
}

static void after_mark(struct scene *s)
{
	at_mark(s);
	send_all(s->peer, "b", 1);
	CHECK(poll_for(s->fd, POLLIN, 2000));
}

static void full(struct scene *s)
{
	static char zeros[65536];

	pair_up(s);
	deafen(s->peer);
	set_option(s->fd, SOL_SOCKET, SO_SNDBUF, 8192);
	while (send(s->fd, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
		;
	FAILS(send(s->fd, zeros, sizeof(zeros), MSG_DONTWAIT), EAGAIN);
}

/* What was sent is not acknowledged. */
static void unacknowledged(struct scene *s)
{
	pair_up(s);
	deafen(s->peer);
	send_all(s->fd, "abc", 3);
}

static void corked(struct scene *s)
{
	pair_up(s);
	set_option(s->fd, IPPROTO_TCP, TCP_CORK, 1);
	send_all(s->fd, "abc", 3);
}

static void close_wait(struct scene *s)
{
	pair_up(s);
	OK(shutdown(s->peer, SHUT_WR));
	await_state(s->fd, STATE_CLOSE_WAIT);
}

static void close_wait_readable(struct scene *s)
{
	pair_up(s);
	send_all(s->peer, "abc", 3);
	OK(shutdown(s->peer, SHUT_WR));
	await_state(s->fd, STATE_CLOSE_WAIT);
}

static void shut_read(struct scene *s)
{
	pair_up(s);
	OK(shutdown(s->fd, SHUT_RD));
}

static void shut_read_readable(struct scene *s)
{
	readable(s);
	OK(shutdown(s->fd, SHUT_RD));
}

static void fin_wait1(struct scene *s)
{
	pair_up(s);
	deafen(s->peer);
	OK(shutdown(s->fd, SHUT_WR));
	await_state(s->fd, STATE_FIN_WAIT1);
}

static void fin_wait2(struct scene *s)
{
	pair_up(s);
	OK(shutdown(s->fd, SHUT_WR));
	await_state(s->fd, STATE_FIN_WAIT2);
}

static void fin_wait2_readable(struct scene *s)
{
	readable(s);
	OK(shutdown(s->fd, SHUT_WR));
	await_state(s->fd, STATE_FIN_WAIT2);
}

static void shut_both(struct scene *s)
{
	pair_up(s);
	OK(shutdown(s->fd, SHUT_RDWR));
	await_state(s->fd, STATE_FIN_WAIT2);
}

/* Our FIN is lost, the peer's comes. */
static void closing(struct scene *s)
{
	fin_wait1(s);
	OK(shutdown(s->peer, SHUT_WR));
	await_state(s->fd, STATE_CLOSING);
}

static void last_ack(struct scene *s)
{
	close_wait(s);
	deafen(s->peer);
	OK(shutdown(s->fd, SHUT_WR));
	await_state(s->fd, STATE_LAST_ACK);
}

static void time_wait(struct scene *s)
{
	pair_up(s);
	OK(shutdown(s->fd, SHUT_WR));
	await_state(s->fd, STATE_FIN_WAIT2);
	OK(shutdown(s->peer, SHUT_WR));
	await_state(s->fd, STATE_CLOSE);
}

static void time_wait_readable(struct scene *s)
{
	pair_up(s);
	OK(shutdown(s->fd, SHUT_WR));
	await_state(s->fd, STATE_FIN_WAIT2);
	send_all(s->peer, "abc", 3);
	OK(shutdown(s->peer, SHUT_WR));
	await_state(s->fd, STATE_CLOSE);
}

static void closed_passively(struct scene *s)
{
	pair_up(s);
	OK(shutdown(s->peer, SHUT_WR));
	await_state(s->fd, STATE_CLOSE_WAIT);
	OK(shutdown(s->fd, SHUT_WR));
	await_state(s->fd, STATE_CLOSE);
}

static void reset_by_peer(struct scene *s)
{
	pair_up(s);
	linger_zero(s->peer);
	close(s->peer);
	s->peer = -1;
	CHECK(poll_for(s->fd, POLLIN, 2000) & POLLERR);
}

static void reset_readable(struct scene *s)
{
	pair_up(s);
	send_all(s->peer, "abc", 3);
	CHECK(poll_for(s->fd, POLLIN, 2000));
	linger_zero(s->peer);
	close(s->peer);
	s->peer = -1;
	CHECK(poll_for(s->fd, 0, 2000) & POLLERR);
}

static void reset_taken(struct scene *s)
{
	reset_by_peer(s);
	EQ(take_error(s->fd), ECONNRESET);
}

static void reset_in_close_wait(struct scene *s)
{
	close_wait(s);
	linger_zero(s->peer);
	close(s->peer);
	s->peer = -1;
	CHECK(poll_for(s->fd, 0, 2000) & POLLERR);
}

static void timed_out(struct scene *s)
{
	unacknowledged(s);
	set_option(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 100);
	CHECK(poll_for(s->fd, 0, 10000) & POLLERR);
}

static void disconnected(struct scene *s)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	pair_up(s);
	OK(connect(s->fd, &none, sizeof(none)));
}

static void disconnected_taken(struct scene *s)
{
	disconnected(s);
	EQ(take_error(s->fd), ECONNRESET);
}

static void disconnected_after_end(struct scene *s)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	time_wait(s);
	OK(connect(s->fd, &none, sizeof(none)));
}

static void disconnected_bound(struct scene *s)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	union address address;

	s->holder = listener_of(peer_family(), 4, &address);
	s->fd = bound(family(), 0);
	OK(connect_to(s->fd, &address));
	OK(connect(s->fd, &none, sizeof(none)));
}

static void listener_shut(struct scene *s)
{
	listening(s);
	OK(shutdown(s->fd, SHUT_RD));
}

static void listener_disconnected(struct scene *s)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	acceptable(s);
	OK(connect(s->fd, &none, sizeof(none)));
}

#define STATE(name)	{ #name, name }

const struct state states[] = {
	STATE(fresh), STATE(bound_only),
	STATE(listening), STATE(acceptable),
	STATE(connecting), STATE(connecting_shut),
	STATE(connecting_disconnected), STATE(connecting_with_data),
	STATE(opening), STATE(opening_readable),
	STATE(opening_shut), STATE(refused),
	STATE(refused_taken), STATE(refused_blocking),
	STATE(connected_untold), STATE(connected_untold_shut),
	STATE(established), STATE(to_itself),
	STATE(readable), STATE(urgent),
	STATE(at_mark), STATE(after_mark),
	STATE(full), STATE(unacknowledged),
	STATE(corked), STATE(close_wait),
	STATE(close_wait_readable), STATE(shut_read),
	STATE(shut_read_readable), STATE(fin_wait1),
	STATE(fin_wait2), STATE(fin_wait2_readable),
	STATE(shut_both), STATE(closing),
	STATE(last_ack), STATE(time_wait),
	STATE(time_wait_readable), STATE(closed_passively),
	STATE(reset_by_peer), STATE(reset_readable),
	STATE(reset_taken), STATE(reset_in_close_wait),
	STATE(timed_out), STATE(disconnected),
	STATE(disconnected_taken), STATE(disconnected_after_end),
	STATE(disconnected_bound), STATE(listener_shut),
	STATE(listener_disconnected),
};

const size_t state_count = sizeof(states) / sizeof(*states);

static void close_up(int *fd)
{
	if (*fd < 0)
		return;
	/* Nothing is to be left that would be sent again and again. */
	linger_zero(*fd);
	close(*fd);
	*fd = -1;
}

struct scene make_scene(const struct state *state)
{
	struct scene scene = { -1, -1, -1 };

	state->make(&scene);
	return scene;
}

void end_scene(struct scene *scene)
{
	close_up(&scene->fd);
	close_up(&scene->peer);
	close_up(&scene->holder);
}
