// SPDX-License-Identifier: GPL-2.0
/* What BPF programs at a device, and maps of sockets, see of a socket. */
#define _GNU_SOURCE
#include "bpf.h"
#include "policy.h"

#include <net/if.h>
#include <stddef.h>
#include <sys/syscall.h>

#define SOCK_OF_PACKET	offsetof(struct __sk_buff, sk)

static void at_loopback(int program)
{
	attach_program(program, OK(if_nametoindex("lo")), BPF_TCX_EGRESS);
}

/* A packet that leaves has the socket that sends it. */
static void socket_seen(void)
{
	int type = BPF_PROG_TYPE_SCHED_CLS;
	struct pair pair;
	int server;

	own_world();
	server = serve(PORT);
	at_loopback(PROGRAM(type, BPF_TCX_EGRESS,
			    LOAD(BPF_DW, 1, 1, SOCK_OF_PACKET),
			    IF_EQUAL(1, 0, 5),
			    CALL(BPF_FUNC_sk_fullsock),
			    IF_EQUAL(0, 0, 3),
			    LOAD(BPF_W, 2, 0, offsetof(struct bpf_sock, mark)),
			    SET(0, TCX_DROP),
			    IF_EQUAL(2, 42, 1),
			    SET(0, TCX_NEXT), EXIT));
	pair = connected(server, here(), PORT);
	works(pair);
	set_option(pair.fd, SOL_SOCKET, SO_MARK, 42);
	stuck(pair.fd, pair.peer);
	set_option(pair.fd, SOL_SOCKET, SO_MARK, 0);
	unstuck(pair.peer);
	set_option(pair.peer, SOL_SOCKET, SO_MARK, 42);
	stuck(pair.peer, pair.fd);
}

/* A helper for Linux's own TCP sockets gives no other. */
static void not_taken_for_native(void)
{
	int type = BPF_PROG_TYPE_SCHED_CLS, seen = make_counter();

	own_world();
	at_loopback(PROGRAM(type, BPF_TCX_EGRESS,
			    LOAD(BPF_DW, 1, 1, SOCK_OF_PACKET),
			    IF_EQUAL(1, 0, 11),
			    CALL(BPF_FUNC_tcp_sock),
			    IF_EQUAL(0, 0, 9),
			    STORE_VALUE(BPF_W, 10, -4, 0),
			    MAP(1, seen), MAP_REST,
			    COPY(2, 10), ADD(2, -4),
			    CALL(BPF_FUNC_map_lookup_elem),
			    IF_EQUAL(0, 0, 2),
			    SET(1, 1), COUNT_AT(0, 1),
			    SET(0, TCX_NEXT), EXIT));
	works(connected(serve(PORT), here(), PORT));
	if (ours())
		EQ(counted(seen), 0);
	else
		CHECK(counted(seen) > 0);
}

static long put(int map, int fd)
{
	uint32_t key = 0;
	uint64_t value = fd;
	union bpf_attr attributes = {
		.map_fd = map,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)&value,
	};

	return syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attributes,
		       sizeof(attributes));
}

static int map_of(int type)
{
	union bpf_attr attributes = {
		.map_type = type,
		.key_size = sizeof(uint32_t),
		.value_size = sizeof(uint64_t),
		.max_entries = 1,
	};

	return OK(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes,
			  sizeof(attributes)));
}

/* What programs choose from takes Linux's own sockets only. */
static void not_in_maps(void)
{
	int map = map_of(BPF_MAP_TYPE_SOCKMAP);
	union address place = at(here(), PORT2);
	struct pair pair;
	int server;

	own_world();
	server = serve(PORT);
	pair = connected(server, here(), PORT);
	if (ours()) {
		FAILS(put(map, server), EOPNOTSUPP);
		FAILS(put(map, pair.fd), EOPNOTSUPP);
	} else {
		OK(put(map, server));
		OK(put(map, pair.fd));
	}
	map = map_of(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	server = make_socket(0);
	set_option(server, SOL_SOCKET, SO_REUSEPORT, 1);
	OK(bind_to(server, &place));
	OK(listen(server, 1));
	if (ours())
		FAILS(put(map, server), 524 /* ENOTSUPP */);
	else
		OK(put(map, server));
	works(connected(server, here(), PORT2));
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(socket_seen),
		CASE(not_taken_for_native),
		CASE(not_in_maps),
	};

	if (getuid() != 0)
		return 4;
	return RUN_CASES(cases);
}
