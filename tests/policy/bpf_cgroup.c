// SPDX-License-Identifier: GPL-2.0
/* What BPF programs of a control group do to its sockets. */
#define _GNU_SOURCE
#include "bpf.h"
#include "policy.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <stddef.h>
#include <string.h>

#define ADDRESS(field)	offsetof(struct bpf_sock_addr, field)
#define SOCK(field)	offsetof(struct bpf_sock, field)

/* The attach type of this IP version. */
#define OF_VERSION(kind)	\
	(v6() ? BPF_CGROUP_INET6_##kind : BPF_CGROUP_INET4_##kind)

static struct group group;

static void world(void)
{
	own_world();
	group = make_group();
}

static int attached(int attach, int program)
{
	return attach_program(program, group.fd, attach);
}

static int refusing(int type, int attach)
{
	return attached(attach, constant_program(type, attach, 0));
}

/* A program that sees `from` as the port puts `to` in its place. */
static int other_port(int attach, int from, int to)
{
	int type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR;

	return attached(attach,
			PROGRAM(type, attach,
				LOAD(BPF_W, 2, 1, ADDRESS(user_port)),
				IF_NOT_EQUAL(2, htons(from), 2),
				SET(2, htons(to)),
				STORE(BPF_W, 1, ADDRESS(user_port), 2),
				SET(0, 1), EXIT));
}

static void connect_refused(void)
{
	int server, link, fd;

	world();
	server = serve(PORT);
	link = refusing(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, OF_VERSION(CONNECT));
	works(connected(server, here(), PORT));
	join_group(&group);
	fd = impatient();
	FAILS(try_connect(fd, here(), PORT), EPERM);
	detach_program(link);
	/* The socket is as if it had not tried. */
	OK(try_connect(fd, here(), PORT));
	works((struct pair){ fd, accept_one(server) });
	remove_group(&group);
}

static void connect_redirected(void)
{
	const char *nowhere = v6() ? "2001:db8::1" : "192.0.2.1";
	int type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
	int attach = OF_VERSION(CONNECT);
	struct pair pair;
	int server;

	world();
	server = serve(PORT);
	other_port(attach, PORT2, PORT);
	join_group(&group);
	pair = connected(server, here(), PORT2);
	works(pair);
	EQ(port_of(remote_of(pair.fd)), PORT);
	if (v6())
		attached(attach,
			 PROGRAM(type, attach, SET(2, 0),
				 STORE(BPF_W, 1, ADDRESS(user_ip6[0]), 2),
				 STORE(BPF_W, 1, ADDRESS(user_ip6[1]), 2),
				 STORE(BPF_W, 1, ADDRESS(user_ip6[2]), 2),
				 SET(2, htonl(1)),
				 STORE(BPF_W, 1, ADDRESS(user_ip6[3]), 2),
				 SET(0, 1), EXIT));
	else
		attached(attach,
			 PROGRAM(type, attach, SET(2, htonl(INADDR_LOOPBACK)),
				 STORE(BPF_W, 1, ADDRESS(user_ip4), 2),
				 SET(0, 1), EXIT));
	/* Programs after the first need BPF_F_ALLOW_MULTI, which links have. */
	pair = connected(server, nowhere, PORT2);
	works(pair);
	EQ_HOST(remote_of(pair.fd), at(here(), 0));
	remove_group(&group);
}

static void names_told_otherwise(void)
{
	struct pair pair;

	world();
	join_group(&group);
	pair = connected(serve(PORT), here(), PORT);
	other_port(OF_VERSION(GETPEERNAME), PORT, 77);
	other_port(OF_VERSION(GETSOCKNAME), PORT, 78);
	EQ(port_of(remote_of(pair.fd)), 77);
	EQ(port_of(local_of(pair.peer)), 78);
	works(pair);
	remove_group(&group);
}

static void bind_refused(void)
{
	union address place;
	int link, fd;

	world();
	place = at(here(), PORT);
	join_group(&group);
	link = refusing(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, OF_VERSION(BIND));
	fd = make_socket(0);
	FAILS(bind_to(fd, &place), EPERM);
	detach_program(link);
	OK(bind_to(fd, &place));
	remove_group(&group);
}

static void bind_elsewhere(void)
{
	union address place;
	int fd;

	world();
	place = at(here(), PORT2);
	join_group(&group);
	other_port(OF_VERSION(BIND), PORT2, PORT);
	fd = make_socket(0);
	OK(bind_to(fd, &place));
	EQ(port_of(local_of(fd)), PORT);
	OK(listen(fd, 1));
	works(connected(fd, here(), PORT));
	remove_group(&group);
}

/* The program sees the port that was chosen, and may still refuse it. */
static void refused_when_bound(void)
{
	int type = BPF_PROG_TYPE_CGROUP_SOCK, attach = OF_VERSION(POST_BIND);
	union address place;
	int link, fd;

	world();
	place = at(here(), PORT);
	join_group(&group);
	link = attached(attach,
			PROGRAM(type, attach,
				LOAD(BPF_W, 2, 1, SOCK(src_port)),
				SET(0, 1),
				IF_NOT_EQUAL(2, PORT, 1),
				SET(0, 0), EXIT));
	fd = make_socket(0);
	FAILS(bind_to(fd, &place), EPERM);
	EQ(port_of(local_of(fd)), 0);
	set_port(&place, PORT2);
	OK(bind_to(fd, &place));
	/* The port was given back. */
	set_port(&place, PORT);
	detach_program(link);
	fd = make_socket(0);
	OK(bind_to(fd, &place));
	remove_group(&group);
}

static void socket_refused(void)
{
	int attach = BPF_CGROUP_INET_SOCK_CREATE;
	int link;

	world();
	join_group(&group);
	link = refusing(BPF_PROG_TYPE_CGROUP_SOCK, attach);
	FAILS(socket(domain_of(family()), SOCK_STREAM, protocol_of(family())),
	      EPERM);
	detach_program(link);
	make_socket(0);
	remove_group(&group);
}

static void socket_marked(void)
{
	int type = BPF_PROG_TYPE_CGROUP_SOCK;
	int attach = BPF_CGROUP_INET_SOCK_CREATE;
	int fd;

	world();
	join_group(&group);
	attached(attach,
		 PROGRAM(type, attach, SET(2, 7),
			 STORE(BPF_W, 1, SOCK(mark), 2),
			 STORE(BPF_W, 1, SOCK(priority), 2),
			 SET(2, OK(if_nametoindex("lo"))),
			 STORE(BPF_W, 1, SOCK(bound_dev_if), 2),
			 SET(0, 1), EXIT));
	fd = make_socket(0);
	EQ(get_option(fd, SOL_SOCKET, SO_MARK), 7);
	EQ(get_option(fd, SOL_SOCKET, SO_PRIORITY), 7);
	EQ(get_option(fd, SOL_SOCKET, 62 /* SO_BINDTOIFINDEX */),
	   if_nametoindex("lo"));
	remove_group(&group);
}

static void births_and_deaths(void)
{
	int births = make_counter(), deaths = make_counter();
	int type = BPF_PROG_TYPE_CGROUP_SOCK;
	struct pair pair;
	int server;

	world();
	join_group(&group);
	attached(BPF_CGROUP_INET_SOCK_CREATE,
		 counting_program(type, BPF_CGROUP_INET_SOCK_CREATE, births));
	attached(BPF_CGROUP_INET_SOCK_RELEASE,
		 counting_program(type, BPF_CGROUP_INET_SOCK_RELEASE, deaths));
	server = serve(PORT);
	pair = connected(server, here(), PORT);
	/* What accept makes is not made by socket(). */
	EQ(counted(births), 2);
	EQ(counted(deaths), 0);
	close(pair.fd);
	EQ(counted(deaths), 1);
	close(pair.peer);
	close(server);
	EQ(counted(deaths), 3);
	remove_group(&group);
}

static int drop(int attach, const struct field *fields, size_t count)
{
	return attach_program(dropping_program(fields, count), group.fd,
			      attach);
}

#define DROP(attach, ...)						\
	({								\
		const struct field fields_[] = { __VA_ARGS__ };		\
									\
		drop(attach, fields_,					\
		     sizeof(fields_) / sizeof(fields_[0]));		\
	})
#define TO(port)	{ 2, BPF_H, 0xffff, port }
#define FROM(port)	{ 0, BPF_H, 0xffff, port }
#define FLAGS(mask, value)	{ 13, BPF_B, mask, value }
#define SYN		2
#define ACK		16

/* The listener is in the group, its clients are not. */
static void packets_to_listener(void)
{
	struct pair pair;
	int server, link;

	world();
	join_group(&group);
	server = serve(PORT);
	leave_group();
	set_nonblocking(server, true);
	link = DROP(BPF_CGROUP_INET_INGRESS, TO(PORT), FLAGS(SYN | ACK, SYN));
	unanswered(here(), PORT);
	detach_program(link);
	link = DROP(BPF_CGROUP_INET_INGRESS, TO(PORT), FLAGS(SYN | ACK, ACK));
	pair.fd = open_to(here(), PORT);
	EQ_BITS(poll_for(server, POLLIN, 500), 0);
	detach_program(link);
	EQ_BITS(poll_for(server, POLLIN, 5000), POLLIN);
	pair.peer = accept_one(server);
	works(pair);
	/* The connection is the listener's group's. */
	link = DROP(BPF_CGROUP_INET_INGRESS, TO(PORT));
	stuck(pair.fd, pair.peer);
	detach_program(link);
	unstuck(pair.peer);
	link = DROP(BPF_CGROUP_INET_EGRESS, FROM(PORT));
	stuck(pair.peer, pair.fd);
	/* No SYN-ACK. */
	unanswered(here(), PORT);
	detach_program(link);
	unstuck(pair.fd);
	works(pair);
	remove_group(&group);
}

/* The client is in the group, the server is not. */
static void packets_to_client(void)
{
	struct pair pair;
	int server, link;

	world();
	server = serve(PORT);
	link = DROP(BPF_CGROUP_INET_EGRESS, TO(PORT), FLAGS(SYN, SYN));
	join_group(&group);
	unanswered(here(), PORT);
	leave_group();
	works(connected(server, here(), PORT));
	detach_program(link);
	link = DROP(BPF_CGROUP_INET_INGRESS, FROM(PORT),
		    FLAGS(SYN | ACK, SYN | ACK));
	join_group(&group);
	unanswered(here(), PORT);
	detach_program(link);
	pair = connected(server, here(), PORT);
	works(pair);
	link = DROP(BPF_CGROUP_INET_EGRESS, TO(PORT));
	stuck(pair.fd, pair.peer);
	detach_program(link);
	unstuck(pair.peer);
	link = DROP(BPF_CGROUP_INET_INGRESS, FROM(PORT));
	stuck(pair.peer, pair.fd);
	detach_program(link);
	unstuck(pair.fd);
	remove_group(&group);
}

#define OPTION(field)	offsetof(struct bpf_sockopt, field)

/* Of IPPROTO_TCP. */
static void refuse_option(int attach, int option)
{
	int type = BPF_PROG_TYPE_CGROUP_SOCKOPT;

	attached(attach,
		 PROGRAM(type, attach,
			 LOAD(BPF_W, 2, 1, OPTION(level)),
			 LOAD(BPF_W, 3, 1, OPTION(optname)),
			 SET(0, 1),
			 IF_NOT_EQUAL(2, IPPROTO_TCP, 2),
			 IF_NOT_EQUAL(3, option, 1),
			 SET(0, 0), EXIT));
}

static void options_refused(void)
{
	int value = 1;
	socklen_t length = sizeof(value);
	int fd;

	world();
	join_group(&group);
	fd = make_socket(0);
	refuse_option(BPF_CGROUP_SETSOCKOPT, TCP_NODELAY);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)),
	      EPERM);
	EQ(get_option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	set_option(fd, IPPROTO_TCP, TCP_CORK, 1);
	refuse_option(BPF_CGROUP_GETSOCKOPT, TCP_CORK);
	FAILS(getsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, &length), EPERM);
	EQ(get_option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	remove_group(&group);
}

/* The program writes what the call then sets. */
static void option_changed(void)
{
	int type = BPF_PROG_TYPE_CGROUP_SOCKOPT;
	int set = BPF_CGROUP_SETSOCKOPT;
	int fd;

	world();
	join_group(&group);
	fd = make_socket(0);
	attached(set,
		 PROGRAM(type, set, COPY(6, 1),
			 LOAD(BPF_DW, 7, 6, OPTION(optval)),
			 LOAD(BPF_DW, 8, 6, OPTION(optval_end)),
			 COPY(2, 7), ADD(2, 4),
			 INSN(BPF_JMP | BPF_JGT | BPF_X, 2, 8, 3, 0),
			 SET(3, 33), STORE(BPF_W, 7, 0, 3),
			 SET(0, 1),
			 SET(0, 1), EXIT));
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 44);
	EQ(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 33);
	remove_group(&group);
}

/* Programs for sockets' operations see Linux's own TCP only. */
static void operations_not_seen(void)
{
	int type = BPF_PROG_TYPE_SOCK_OPS, calls = make_counter();
	struct pair pair;

	world();
	join_group(&group);
	attached(BPF_CGROUP_SOCK_OPS,
		 counting_program(type, BPF_CGROUP_SOCK_OPS, calls));
	pair = connected(serve(PORT), here(), PORT);
	works(pair);
	if (ours())
		EQ(counted(calls), 0);
	else
		CHECK(counted(calls) > 0);
	remove_group(&group);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(connect_refused),	CASE(connect_redirected),
		CASE(names_told_otherwise), CASE(bind_refused),
		CASE(bind_elsewhere),	CASE(refused_when_bound),
		CASE(socket_refused),	CASE(socket_marked),
		CASE(births_and_deaths), CASE(packets_to_listener),
		CASE(packets_to_client), CASE(options_refused),
		CASE(option_changed),	CASE(operations_not_seen),
	};

	if (getuid() != 0)
		return 4;
	return RUN_CASES(cases);
}
