// SPDX-License-Identifier: GPL-2.0
/* Sockets through io_uring. */
#define _GNU_SOURCE
#include "uring.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static char bytes[65536];

static void send_and_receive(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();

	entry_with(&ring, IORING_OP_RECV, pair.fd, 1, bytes, 100);
	submit(&ring);
	CHECK(no_completion(&ring, 20));
	entry_with(&ring, IORING_OP_SEND, pair.peer, 2, "abc", 3);
	submit(&ring);
	for (int i = 0; i < 2; i++) {
		struct done done = completion(&ring);

		CHECK(done.tag == 1 || done.tag == 2);
		EQ(done.result, 3);
	}
	EQ(memcmp(bytes, "abc", 3), 0);
	entry_with(&ring, IORING_OP_RECV, pair.fd, 3, bytes, 1)->msg_flags =
		MSG_DONTWAIT;
	submit(&ring);
	expect(&ring, 3, -EAGAIN);
}

/* The completion says whether more waits. */
static void more_waits(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();

	send_all(pair.peer, "abc", 3);
	CHECK(poll_for(pair.fd, POLLIN, 1000));
	entry_with(&ring, IORING_OP_RECV, pair.fd, 1, bytes, 2);
	submit(&ring);
	CHECK(expect(&ring, 1, 2) & IORING_CQE_F_SOCK_NONEMPTY);
	entry_with(&ring, IORING_OP_RECV, pair.fd, 2, bytes, 2);
	submit(&ring);
	CHECK(!(expect(&ring, 2, 1) & IORING_CQE_F_SOCK_NONEMPTY));
	send_all(pair.peer, "d", 1);
	OK(shutdown(pair.peer, SHUT_WR));
	await_state(pair.fd, STATE_CLOSE_WAIT);
	entry_with(&ring, IORING_OP_RECV, pair.fd, 3, bytes, 2);
	submit(&ring);
	/* The end is worth a call as well. */
	CHECK(expect(&ring, 3, 1) & IORING_CQE_F_SOCK_NONEMPTY);
	entry_with(&ring, IORING_OP_RECV, pair.fd, 4, bytes, 2);
	submit(&ring);
	expect(&ring, 4, 0);
}

struct reading {
	int fd;
	size_t length;
};

static void read_pattern(void *argument)
{
	struct reading *reading = argument;

	sleep_ms(50);
	recv_pattern(reading->fd, 0, reading->length);
}

static void all_of_it(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair_with(16384, 16384);
	struct reading reading = { pair.peer, sizeof(bytes) };
	pid_t reader = start(read_pattern, &reading);

	pattern_fill(bytes, 0, sizeof(bytes));
	entry_with(&ring, IORING_OP_SEND, pair.fd, 1, bytes, sizeof(bytes))
		->msg_flags = MSG_WAITALL;
	submit(&ring);
	expect(&ring, 1, sizeof(bytes));
	finish(reader);

	entry_with(&ring, IORING_OP_RECV, pair.fd, 2, bytes, 6)->msg_flags =
		MSG_WAITALL;
	submit(&ring);
	send_all(pair.peer, "abc", 3);
	CHECK(no_completion(&ring, 20));
	send_all(pair.peer, "def", 3);
	expect(&ring, 2, 6);
	EQ(memcmp(bytes, "abcdef", 6), 0);
}

static void messages(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();
	struct iovec parts[2] = { { "abc", 3 }, { "def", 3 } };
	struct iovec room = { bytes, 100 };
	struct msghdr out = { .msg_iov = parts, .msg_iovlen = 2 };
	struct msghdr in = { .msg_iov = &room, .msg_iovlen = 1 };

	entry_with(&ring, IORING_OP_RECVMSG, pair.fd, 1, &in, 1);
	submit(&ring);
	CHECK(no_completion(&ring, 20));
	entry_with(&ring, IORING_OP_SENDMSG, pair.peer, 2, &out, 1);
	submit(&ring);
	for (int i = 0; i < 2; i++)
		EQ(completion(&ring).result, 6);
	EQ(memcmp(bytes, "abcdef", 6), 0);
}

static void read_and_write(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();

	entry_with(&ring, IORING_OP_WRITE, pair.peer, 1, "abc", 3)->off = -1;
	submit(&ring);
	expect(&ring, 1, 3);
	entry_with(&ring, IORING_OP_READ, pair.fd, 2, bytes, 100)->off = -1;
	submit(&ring);
	expect(&ring, 2, 3);
}

static void accepts(void)
{
	struct ring ring = make_ring(0);
	union address address, name;
	socklen_t length = sizeof(name);
	int fd = listener(4, &address);
	int client = make_socket_of(peer_family(), 0);
	struct io_uring_sqe *entry;
	struct done done;

	entry = entry_with(&ring, IORING_OP_ACCEPT, fd, 1, &name, 0);
	entry->addr2 = (uintptr_t)&length;
	submit(&ring);
	CHECK(no_completion(&ring, 20));
	OK(connect_to(client, &address));
	done = completion(&ring);
	CHECK(done.result >= 0);
	EQ_ADDRESS(name, local_of(client));
	send_all(client, "x", 1);
	EQ(recv(done.result, bytes, 1, 0), 1);
}

static void accepts_many(void)
{
	struct ring ring = make_ring(0);
	union address address;
	int fd = listener(4, &address);

	next_entry(&ring, IORING_OP_ACCEPT, fd, 1)->ioprio =
		IORING_ACCEPT_MULTISHOT;
	submit(&ring);
	for (int i = 0; i < 3; i++) {
		struct done done;

		OK(connect_to(make_socket_of(peer_family(), 0), &address));
		done = completion(&ring);
		EQ(done.tag, 1);
		CHECK(done.result >= 0);
		CHECK(done.flags & IORING_CQE_F_MORE);
	}
	OK(shutdown(fd, SHUT_RD));
	EQ(completion(&ring).result, -EINVAL);
}

static void connects(void)
{
	struct ring ring = make_ring(0);
	union address address;
	int server = listener_of(peer_family(), 4, &address);
	int fd = make_socket(0);

	entry_with(&ring, IORING_OP_CONNECT, fd, 1, &address, 0)->off =
		length_of(&address);
	submit(&ring);
	expect(&ring, 1, 0);
	EQ(tcp_state(fd), STATE_ESTABLISHED);
	entry_with(&ring, IORING_OP_CONNECT, fd, 2, &address, 0)->off =
		length_of(&address);
	submit(&ring);
	expect(&ring, 2, -EISCONN);
	close(server);
	entry_with(&ring, IORING_OP_CONNECT, make_socket(0), 3, &address, 0)
		->off = length_of(&address);
	submit(&ring);
	expect(&ring, 3, -ECONNREFUSED);
	entry_with(&ring, IORING_OP_CONNECT, make_socket(SOCK_NONBLOCK), 4,
		   &address, 0)->off = length_of(&address);
	submit(&ring);
	/* The ring waits for what does not wait itself. */
	expect(&ring, 4, -ECONNREFUSED);
}

static void polls(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();
	struct io_uring_sqe *entry;

	next_entry(&ring, IORING_OP_POLL_ADD, pair.fd, 1)->poll32_events =
		POLLIN;
	submit(&ring);
	CHECK(no_completion(&ring, 20));
	send_all(pair.peer, "x", 1);
	expect(&ring, 1, POLLIN);
	EQ(recv(pair.fd, bytes, 1, 0), 1);

	entry = next_entry(&ring, IORING_OP_POLL_ADD, pair.fd, 2);
	entry->poll32_events = POLLIN | POLLRDHUP;
	entry->len = IORING_POLL_ADD_MULTI;
	submit(&ring);
	for (int i = 0; i < 3; i++) {
		send_all(pair.peer, "x", 1);
		CHECK(expect(&ring, 2, POLLIN) & IORING_CQE_F_MORE);
		CHECK(no_completion(&ring, 20));
	}
	OK(shutdown(pair.peer, SHUT_WR));
	expect(&ring, 2, POLLIN | POLLRDHUP);
}

static void cancels(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();
	struct io_uring_sqe *entry;
	int cancelled = 0;

	entry_with(&ring, IORING_OP_RECV, pair.fd, 1, bytes, 100);
	submit(&ring);
	CHECK(no_completion(&ring, 20));
	entry = next_entry(&ring, IORING_OP_ASYNC_CANCEL, -1, 2);
	entry->addr = 1;
	submit(&ring);
	for (int i = 0; i < 2; i++) {
		struct done done = completion(&ring);

		if (done.tag == 1)
			EQ(done.result, -ECANCELED);
		else
			EQ(done.result, 0);
		cancelled += done.tag == 1;
	}
	EQ(cancelled, 1);
	/* Nothing of the stream went with it. */
	send_all(pair.peer, "abc", 3);
	EQ(recv(pair.fd, bytes, 100, 0), 3);
}

static void limited(void)
{
	struct __kernel_timespec limit = { .tv_nsec = 50000000 };
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();

	entry_with(&ring, IORING_OP_RECV, pair.fd, 1, bytes, 100)->flags =
		IOSQE_IO_LINK;
	entry_with(&ring, IORING_OP_LINK_TIMEOUT, -1, 2, &limit, 1);
	submit(&ring);
	for (int i = 0; i < 2; i++) {
		struct done done = completion(&ring);

		EQ(done.result, done.tag == 1 ? -ECANCELED : -ETIME);
	}
	send_all(pair.peer, "abc", 3);
	EQ(recv(pair.fd, bytes, 100, 0), 3);
}

/* One after the other, until one fails. */
static void chained(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();
	struct io_uring_sqe *entry;

	entry_with(&ring, IORING_OP_SEND, pair.fd, 1, "a", 1)->flags =
		IOSQE_IO_LINK;
	next_entry(&ring, IORING_OP_SHUTDOWN, pair.fd, 2)->len = SHUT_WR;
	submit(&ring);
	expect(&ring, 1, 1);
	expect(&ring, 2, 0);
	EQ(recv(pair.peer, bytes, 100, MSG_WAITALL), 1);
	entry = entry_with(&ring, IORING_OP_SEND, pair.fd, 3, "b", 1);
	entry->msg_flags = MSG_NOSIGNAL;
	entry->flags = IOSQE_IO_LINK;
	next_entry(&ring, IORING_OP_CLOSE, pair.fd, 4);
	submit(&ring);
	expect(&ring, 3, -EPIPE);
	expect(&ring, 4, -ECANCELED);
	next_entry(&ring, IORING_OP_CLOSE, pair.fd, 5);
	submit(&ring);
	expect(&ring, 5, 0);
}

static void hears_of_reset(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();

	entry_with(&ring, IORING_OP_RECV, pair.fd, 1, bytes, 100);
	submit(&ring);
	CHECK(no_completion(&ring, 20));
	linger_zero(pair.peer);
	close(pair.peer);
	expect(&ring, 1, -ECONNRESET);
	entry_with(&ring, IORING_OP_RECV, pair.fd, 2, bytes, 100);
	submit(&ring);
	expect(&ring, 2, 0);
}

/* ---- Buffers that the ring chooses ---- */

enum { BUFFERS = 8, ROOM = 64 };

static void give_buffers(struct ring *ring, char *memory)
{
	struct io_uring_buf_ring *buffers =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct io_uring_buf_reg registration = {
		.ring_addr = (uintptr_t)buffers,
		.ring_entries = BUFFERS,
		.bgid = 7,
	};

	CHECK(buffers != MAP_FAILED);
	OK(syscall(__NR_io_uring_register, ring->fd, IORING_REGISTER_PBUF_RING,
		   &registration, 1));
	for (int i = 0; i < BUFFERS; i++) {
		buffers->bufs[i].addr = (uintptr_t)memory + i * ROOM;
		buffers->bufs[i].len = ROOM;
		buffers->bufs[i].bid = i;
	}
	__atomic_store_n(&buffers->tail, BUFFERS, __ATOMIC_RELEASE);
}

static void receives_many(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();
	struct io_uring_sqe *entry;
	struct done done;

	give_buffers(&ring, bytes);
	entry = next_entry(&ring, IORING_OP_RECV, pair.fd, 1);
	entry->ioprio = IORING_RECV_MULTISHOT;
	entry->flags = IOSQE_BUFFER_SELECT;
	entry->buf_group = 7;
	submit(&ring);
	for (int i = 0; i < 3; i++) {
		char text[] = { 'a' + i, 'b' };

		send_all(pair.peer, text, 2);
		done = completion(&ring);
		EQ(done.result, 2);
		CHECK(done.flags & IORING_CQE_F_MORE);
		CHECK(done.flags & IORING_CQE_F_BUFFER);
		EQ(memcmp(bytes + (done.flags >> IORING_CQE_BUFFER_SHIFT) *
			  ROOM, text, 2), 0);
	}
	/* More than a buffer has room for goes into several. */
	send_pattern(pair.peer, 0, 100);
	EQ(completion(&ring).result, ROOM);
	EQ(completion(&ring).result, 100 - ROOM);
	OK(shutdown(pair.peer, SHUT_WR));
	done = completion(&ring);
	EQ(done.result, 0);
	CHECK(!(done.flags & IORING_CQE_F_MORE));
}

static void runs_out_of_buffers(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();
	struct io_uring_sqe *entry;
	size_t got = 0;

	give_buffers(&ring, bytes);
	send_pattern(pair.peer, 0, BUFFERS * ROOM + 10);
	CHECK(poll_for(pair.fd, POLLIN, 1000));
	sleep_ms(20);
	entry = next_entry(&ring, IORING_OP_RECV, pair.fd, 1);
	entry->ioprio = IORING_RECV_MULTISHOT;
	entry->flags = IOSQE_BUFFER_SELECT;
	entry->buf_group = 7;
	submit(&ring);
	for (;;) {
		struct done done = completion(&ring);

		if (done.result < 0) {
			EQ(done.result, -ENOBUFS);
			break;
		}
		got += done.result;
	}
	EQ(got, BUFFERS * ROOM);
	pattern_check(bytes, 0, got);
	recv_pattern(pair.fd, got, 10);
}

/* A thread of the kernel's makes the calls. */
static void by_a_thread(void)
{
	struct ring ring = make_ring(IORING_SETUP_SQPOLL);
	struct pair pair = make_pair();

	entry_with(&ring, IORING_OP_RECV, pair.fd, 1, bytes, 100);
	submit(&ring);
	CHECK(no_completion(&ring, 20));
	entry_with(&ring, IORING_OP_SEND, pair.peer, 2, "abc", 3);
	submit(&ring);
	for (int i = 0; i < 2; i++)
		EQ(completion(&ring).result, 3);
	EQ(memcmp(bytes, "abc", 3), 0);
}

static void makes_sockets(void)
{
	struct ring ring = make_ring(0);
	struct io_uring_sqe *entry;
	union address address = loopback(0);
	int fd, client;

	entry = next_entry(&ring, IORING_OP_SOCKET, domain_of(family()), 1);
	entry->off = SOCK_STREAM;
	entry->len = protocol_of(family());
	submit(&ring);
	fd = OK(completion(&ring).result);
	entry = entry_with(&ring, IORING_OP_BIND, fd, 2, &address, 0);
	entry->addr2 = length_of(&address);
	submit(&ring);
	expect(&ring, 2, 0);
	next_entry(&ring, IORING_OP_LISTEN, fd, 3)->len = 4;
	submit(&ring);
	expect(&ring, 3, 0);
	address = local_of(fd);
	client = make_socket_of(peer_family(), 0);
	OK(connect_to(client, &address));
	send_all(accept_one(fd), "x", 1);
	EQ(recv(client, bytes, 1, 0), 1);
}

static void splices(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();
	struct io_uring_sqe *entry;
	int ends[2];

	OK(pipe(ends));
	send_all(pair.peer, "abc", 3);
	entry = next_entry(&ring, IORING_OP_SPLICE, ends[1], 1);
	entry->splice_fd_in = pair.fd;
	entry->splice_off_in = -1;
	entry->off = -1;
	entry->len = 100;
	submit(&ring);
	expect(&ring, 1, 3);
	entry = next_entry(&ring, IORING_OP_SPLICE, pair.fd, 2);
	entry->splice_fd_in = ends[0];
	entry->splice_off_in = -1;
	entry->off = -1;
	entry->len = 3;
	submit(&ring);
	expect(&ring, 2, 3);
	EQ(recv(pair.peer, bytes, 100, 0), 3);
	EQ(memcmp(bytes, "abc", 3), 0);
}

/* A process that ends with calls under way leaves nothing behind. */
static void abandoned(void)
{
	union address address;
	int fd = listener(4, &address);
	pid_t child = OK(fork());

	if (child == 0) {
		struct ring ring = make_ring(0);
		int client = make_socket_of(peer_family(), 0);
		union address idle;

		OK(connect_to(client, &address));
		entry_with(&ring, IORING_OP_RECV, client, 1, bytes, 100);
		next_entry(&ring, IORING_OP_ACCEPT, listener(4, &idle), 2);
		submit(&ring);
		CHECK(no_completion(&ring, 20));
		_exit(0);
	}
	finish(child);
	expect_end(accept_one(fd));
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(send_and_receive),	CASE(more_waits),
		CASE(all_of_it),	CASE(messages),
		CASE(read_and_write),	CASE(accepts),
		CASE(accepts_many),	CASE(connects),
		CASE(polls),		CASE(cancels),
		CASE(limited),		CASE(chained),
		CASE(hears_of_reset),	CASE(receives_many),
		CASE(runs_out_of_buffers), CASE(by_a_thread),
		CASE(makes_sockets),	CASE(splices),
		CASE(abandoned),
	};

	return RUN_CASES(cases);
}
