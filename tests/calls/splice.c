// SPDX-License-Identifier: GPL-2.0
/* Bytes that move without passing through a program: sendfile, splice, tee. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>

#define PAGE	4096

struct pipe {
	int out;
	int in;
};

static struct pipe make_pipe(int size, int flags)
{
	int ends[2];

	OK(pipe2(ends, flags));
	if (size)
		EQ(fcntl(ends[1], F_SETPIPE_SZ, size), size);
	return (struct pipe){ ends[0], ends[1] };
}

/* A file with so many bytes of the pattern. */
static int make_file(size_t length)
{
	int file = OK(memfd_create("pattern", 0));
	char piece[PAGE];

	for (size_t done = 0; done < length;) {
		size_t part = length - done < PAGE ? length - done : PAGE;

		pattern_fill(piece, done, part);
		EQ(write(file, piece, part), part);
		done += part;
	}
	return file;
}

struct reading {
	int fd;
	size_t offset;
	size_t length;
};

static void read_pattern(void *argument)
{
	struct reading *reading = argument;

	recv_pattern(reading->fd, reading->offset, reading->length);
}

static pid_t reader_of(int fd, size_t offset, size_t length)
{
	static struct reading reading;

	reading = (struct reading){ fd, offset, length };
	return start(read_pattern, &reading);
}

static void read_pipe(int fd, size_t offset, size_t length)
{
	char bytes[PAGE];

	while (length) {
		size_t most = length < PAGE ? length : PAGE;
		size_t got = OK(read(fd, bytes, most));

		CHECK(got > 0);
		pattern_check(bytes, offset, got);
		offset += got;
		length -= got;
	}
}

static void file_whole(void)
{
	enum { LENGTH = 1 << 20 };
	struct pair pair = make_pair();
	int file = make_file(LENGTH);
	pid_t reader = reader_of(pair.peer, 0, LENGTH);
	off_t offset = 0;

	while (offset < LENGTH)
		CHECK(OK(sendfile(pair.fd, file, &offset, LENGTH)) > 0);
	EQ(offset, LENGTH);
	EQ(lseek(file, 0, SEEK_CUR), LENGTH);
	EQ(sendfile(pair.fd, file, &offset, LENGTH), 0);
	finish(reader);
}

/* Pieces of all lengths, from everywhere in a page. */
static void file_in_pieces(void)
{
	enum { LENGTH = 200000 };
	struct pair pair = make_pair_with(16384, 0);
	int file = make_file(LENGTH);
	pid_t reader = reader_of(pair.peer, 0, LENGTH);
	size_t piece = 1;

	for (off_t offset = 0; offset < LENGTH;) {
		size_t most = LENGTH - offset;

		piece = (piece * 5 + 3) % 9000;
		CHECK(OK(sendfile(pair.fd, file, &offset,
				  piece < most ? piece + 1 : most)) > 0);
	}
	finish(reader);
}

static void file_beside_writes(void)
{
	enum { ROUNDS = 200, PART = 1000 };
	struct pair pair = make_pair();
	int file = make_file(2 * ROUNDS * PART);
	pid_t reader = reader_of(pair.peer, 0, 2 * ROUNDS * PART);

	for (off_t offset = 0; offset < 2 * ROUNDS * PART; offset += PART) {
		EQ(sendfile(pair.fd, file, &offset, PART), PART);
		send_pattern(pair.fd, offset, PART);
	}
	finish(reader);
}

static void file_dont_wait(void)
{
	enum { LENGTH = 8 << 20 };
	struct pair pair = make_pair_with(16384, 16384);
	int file = make_file(LENGTH);
	off_t offset = 0;

	set_nonblocking(pair.fd, true);
	do {
		while (sendfile(pair.fd, file, &offset, LENGTH) > 0)
			;
		CHECK(errno == EAGAIN);
	} while (poll_for(pair.fd, POLLOUT, 300));
	BETWEEN(offset, 1, LENGTH - 1);
	recv_pattern(pair.peer, 0, offset);
	FAILS(recv(pair.peer, &offset, 1, MSG_DONTWAIT), EAGAIN);
}

/* The rest of what the end of the file cuts short does not wait for more. */
static void file_end_pushes(void)
{
	struct pair pair = make_pair();
	int file = make_file(10000);
	off_t offset = 0;

	for (int i = 0; i < 10; i++) {
		long long begin = now_ms();

		offset = 0;
		EQ(sendfile(pair.fd, file, &offset, 20000), 10000);
		recv_pattern(pair.peer, 0, 10000);
		BETWEEN(now_ms() - begin, 0, 150);
	}
}

/* What is sent is the file, not what it was when sendfile was called. */
static void file_changes(void)
{
	struct pair pair = make_pair();
	int file = make_file(PAGE);
	char bytes[PAGE];
	off_t offset = 0;

	EQ(sendfile(pair.fd, file, &offset, PAGE), PAGE);
	CHECK(poll_for(pair.peer, POLLIN, 1000));
	EQ(pwrite(file, "changed", 7, 100), 7);
	recv_all(pair.peer, bytes, PAGE);
	EQ(memcmp(bytes + 100, "changed", 7), 0);
	pattern_check(bytes, 0, 100);
	pattern_check(bytes + 107, 107, PAGE - 107);
}

/* As many bytes come as were promised, those that are left of the file right. */
static void file_shrinks(void)
{
	enum { LENGTH = 20 * PAGE, KEPT = 5 * PAGE };
	struct pair pair = make_pair();
	int file = make_file(LENGTH);
	char bytes[LENGTH - KEPT];
	off_t offset = 0;

	EQ(sendfile(pair.fd, file, &offset, LENGTH), LENGTH);
	OK(ftruncate(file, KEPT));
	recv_pattern(pair.peer, 0, KEPT);
	recv_all(pair.peer, bytes, sizeof(bytes));
	OK(shutdown(pair.fd, SHUT_WR));
	expect_end(pair.peer);
}

static void file_outlived(void)
{
	enum { LENGTH = 50000 };
	struct pair pair = make_pair();
	int file = make_file(LENGTH);
	off_t offset = 0;

	EQ(sendfile(pair.fd, file, &offset, LENGTH), LENGTH);
	close(file);
	OK(shutdown(pair.fd, SHUT_WR));
	close(pair.fd);
	recv_pattern(pair.peer, 0, LENGTH);
	expect_end(pair.peer);
}

static volatile sig_atomic_t told;

static void on_signal(int signal)
{
	(void)signal;
	told++;
}

static void to_nobody(void)
{
	struct pair pair = make_pair();
	struct pipe pipe = make_pipe(0, 0);
	int file = make_file(100);
	off_t offset = 0;

	signal(SIGPIPE, on_signal);
	OK(shutdown(pair.fd, SHUT_WR));
	FAILS(sendfile(pair.fd, file, &offset, 100), EPIPE);
	EQ(offset, 0);
	EQ(told, 1);
	EQ(write(pipe.in, "abc", 3), 3);
	FAILS(splice(pipe.out, NULL, pair.fd, NULL, 3, 0), EPIPE);
	EQ(told, 2);
	FAILS(splice(pipe.out, NULL, make_socket(0), NULL, 3, 0), EPIPE);
	EQ(told, 3);
}

static void from_pipe(void)
{
	struct pair pair = make_pair();
	struct pipe pipe = make_pipe(0, 0);
	char bytes[60000];

	pattern_fill(bytes, 0, sizeof(bytes));
	EQ(write(pipe.in, bytes, sizeof(bytes)), sizeof(bytes));
	for (size_t moved = 0; moved < sizeof(bytes);)
		moved += OK(splice(pipe.out, NULL, pair.fd, NULL,
				   sizeof(bytes), 0));
	recv_pattern(pair.peer, 0, sizeof(bytes));
	FAILS(splice(pipe.out, NULL, pair.fd, NULL, 1, SPLICE_F_NONBLOCK),
	      EAGAIN);
	close(pipe.in);
	EQ(splice(pipe.out, NULL, pair.fd, NULL, 1, 0), 0);
}

static void from_pipe_with_more(void)
{
	struct pair pair = make_pair();
	struct pipe pipe = make_pipe(0, 0);
	char bytes[2];

	EQ(write(pipe.in, "ab", 2), 2);
	EQ(splice(pipe.out, NULL, pair.fd, NULL, 1, SPLICE_F_MORE), 1);
	EQ(poll_for(pair.peer, POLLIN, 20), 0);
	EQ(splice(pipe.out, NULL, pair.fd, NULL, 1, 0), 1);
	CHECK(poll_for(pair.peer, POLLIN, 100));
	EQ(recv(pair.peer, bytes, 2, 0), 2);
}

static void from_full_socket(void)
{
	struct pair pair = make_pair_with(16384, 16384);
	struct pipe pipe = make_pipe(0, 0);
	size_t sent;

	set_nonblocking(pair.fd, true);
	sent = fill(pair.fd);
	EQ(write(pipe.in, "abc", 3), 3);
	FAILS(splice(pipe.out, NULL, pair.fd, NULL, 3, 0), EAGAIN);
	set_nonblocking(pair.fd, false);
	while (sent) {
		char bytes[8192];
		size_t most = sent < sizeof(bytes) ? sent : sizeof(bytes);

		sent -= OK(recv(pair.peer, bytes, most, 0));
	}
	EQ(splice(pipe.out, NULL, pair.fd, NULL, 3, 0), 3);
}

/* The pages of a program are sent as they are at the time. */
static void from_memory(void)
{
	struct pair pair = make_pair();
	struct pipe pipe = make_pipe(0, 0);
	char *pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec part = { pages + 10, 3 * PAGE };
	char bytes[3 * PAGE];

	CHECK(pages != MAP_FAILED);
	pattern_fill(part.iov_base, 0, part.iov_len);
	EQ(vmsplice(pipe.in, &part, 1, 0), part.iov_len);
	for (size_t moved = 0; moved < part.iov_len;)
		moved += OK(splice(pipe.out, NULL, pair.fd, NULL,
				   part.iov_len, 0));
	CHECK(poll_for(pair.peer, POLLIN, 1000));
	memcpy(pages + 10, "changed", 7);
	recv_all(pair.peer, bytes, sizeof(bytes));
	EQ(memcmp(bytes, "changed", 7), 0);
	pattern_check(bytes + 7, 7, sizeof(bytes) - 7);
}

static void doubled(void)
{
	struct pair one = make_pair();
	struct pair two = make_pair();
	struct pipe pipe = make_pipe(0, 0);
	struct pipe copy = make_pipe(0, 0);
	char bytes[10000];

	pattern_fill(bytes, 0, sizeof(bytes));
	EQ(write(pipe.in, bytes, sizeof(bytes)), sizeof(bytes));
	EQ(tee(pipe.out, copy.in, sizeof(bytes), 0), sizeof(bytes));
	EQ(splice(pipe.out, NULL, one.fd, NULL, sizeof(bytes), 0),
	   sizeof(bytes));
	EQ(splice(copy.out, NULL, two.fd, NULL, sizeof(bytes), 0),
	   sizeof(bytes));
	recv_pattern(one.peer, 0, sizeof(bytes));
	recv_pattern(two.peer, 0, sizeof(bytes));
}

static void to_pipe(void)
{
	struct pair pair = make_pair();
	struct pipe pipe = make_pipe(0, 0);

	send_pattern(pair.peer, 0, 5000);
	for (size_t moved = 0; moved < 5000;)
		moved += OK(splice(pair.fd, NULL, pipe.in, NULL, 100000, 0));
	read_pipe(pipe.out, 0, 5000);
	send_pattern(pair.peer, 5000, 100);
	CHECK(poll_for(pair.fd, POLLIN, 1000));
	/* A part of it, the rest is still there. */
	EQ(splice(pair.fd, NULL, pipe.in, NULL, 30, 0), 30);
	EQ(splice(pair.fd, NULL, pipe.in, NULL, 0, 0), 0);
	recv_pattern(pair.fd, 5030, 70);
	read_pipe(pipe.out, 5000, 30);
	OK(shutdown(pair.peer, SHUT_WR));
	EQ(splice(pair.fd, NULL, pipe.in, NULL, 100, 0), 0);
}

static void write_pattern(void *argument)
{
	struct reading *writing = argument;

	send_pattern(writing->fd, writing->offset, writing->length);
	OK(shutdown(writing->fd, SHUT_WR));
}

static void to_small_pipe(void)
{
	enum { LENGTH = 300000 };
	struct pair pair = make_pair();
	struct pipe pipe = make_pipe(PAGE, 0);
	struct reading writing = { pair.peer, 0, LENGTH };
	pid_t writer = start(write_pattern, &writing);
	size_t moved = 0;

	for (;;) {
		size_t part = OK(splice(pair.fd, NULL, pipe.in, NULL, LENGTH,
					0));

		if (part == 0)
			break;
		read_pipe(pipe.out, moved, part);
		moved += part;
	}
	EQ(moved, LENGTH);
	finish(writer);
}

static void to_full_pipe(void)
{
	struct pair pair = make_pair();
	struct pipe pipe = make_pipe(PAGE, O_NONBLOCK);
	char bytes[PAGE];

	send_pattern(pair.peer, 0, 100);
	CHECK(poll_for(pair.fd, POLLIN, 1000));
	EQ(write(pipe.in, bytes, PAGE), PAGE);
	FAILS(splice(pair.fd, NULL, pipe.in, NULL, 100, 0), EAGAIN);
	EQ(read(pipe.out, bytes, PAGE), PAGE);
	EQ(splice(pair.fd, NULL, pipe.in, NULL, 100, 0), 100);
	read_pipe(pipe.out, 0, 100);
	close(pipe.out);
	signal(SIGPIPE, SIG_IGN);
	send_pattern(pair.peer, 0, 100);
	FAILS(splice(pair.fd, NULL, pipe.in, NULL, 100, 0), EPIPE);
	recv_pattern(pair.fd, 0, 100);
}

/* What is in the pipe does not need the socket any more. */
static void to_pipe_then_closed(void)
{
	struct pair pair = make_pair();
	struct pipe pipe = make_pipe(0, 0);
	size_t moved = 0;

	send_pattern(pair.peer, 0, 20000);
	while (moved < 20000)
		moved += OK(splice(pair.fd, NULL, pipe.in, NULL, 20000, 0));
	close(pair.fd);
	close(pair.peer);
	read_pipe(pipe.out, 0, 20000);
}

struct relay {
	int from;
	int to;
};

static void relay(void *argument)
{
	struct relay *relay = argument;
	struct pipe pipe = make_pipe(0, 0);

	for (;;) {
		size_t got = OK(splice(relay->from, NULL, pipe.in, NULL,
				       65536, SPLICE_F_MOVE | SPLICE_F_MORE));

		if (got == 0)
			break;
		while (got)
			got -= OK(splice(pipe.out, NULL, relay->to, NULL, got,
					 SPLICE_F_MOVE));
	}
	OK(shutdown(relay->to, SHUT_WR));
}

static void socket_to_socket(void)
{
	enum { LENGTH = 1 << 20 };
	struct pair one = make_pair();
	struct pair two = make_pair();
	struct relay both = { one.fd, two.fd };
	struct reading writing = { one.peer, 0, LENGTH };
	pid_t between = start(relay, &both);
	pid_t writer = start(write_pattern, &writing);

	recv_pattern(two.peer, 0, LENGTH);
	/* Its end is known here as well, and nothing may stay open there. */
	close(two.fd);
	expect_end(two.peer);
	finish(between);
	finish(writer);
}

static void waits_for_data(void)
{
	struct timeval limit = { .tv_usec = 100000 };
	struct pair pair = make_pair();
	struct pipe pipe = make_pipe(0, 0);
	long long begin = now_ms();

	OK(setsockopt(pair.fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
		      sizeof(limit)));
	FAILS(splice(pair.fd, NULL, pipe.in, NULL, 100, 0), EAGAIN);
	BETWEEN(now_ms() - begin, 95, 1000);
	interrupt_after(30, SA_RESTART);
	FAILS(splice(pair.fd, NULL, pipe.in, NULL, 100, 0), EINTR);
	limit.tv_usec = 0;
	OK(setsockopt(pair.fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
		      sizeof(limit)));
	interrupt_after(30, 0);
	FAILS(splice(pair.fd, NULL, pipe.in, NULL, 100, 0), EINTR);
}

static void stops_at_urgent(void)
{
	struct pair pair = make_pair();
	struct pipe pipe = make_pipe(0, 0);
	char bytes[10];

	EQ(send(pair.peer, "ab!", 3, MSG_OOB), 3);
	send_all(pair.peer, "cd", 2);
	CHECK(poll_for(pair.fd, POLLPRI, 1000));
	sleep_ms(20);
	EQ(splice(pair.fd, NULL, pipe.in, NULL, 10, 0), 2);
	EQ(read(pipe.out, bytes, 10), 2);
	EQ(memcmp(bytes, "ab", 2), 0);
	/* It does not wait, nor go on. */
	EQ(splice(pair.fd, NULL, pipe.in, NULL, 10, 0), 0);
	EQ(splice(pair.fd, NULL, pipe.in, NULL, 10, 0), 0);
	EQ(recv(pair.fd, bytes, 10, MSG_OOB), 1);
	EQ(splice(pair.fd, NULL, pipe.in, NULL, 10, 0), 0);
	EQ(recv(pair.fd, bytes, 1, 0), 1);
	EQ(bytes[0], 'c');
	EQ(splice(pair.fd, NULL, pipe.in, NULL, 10, 0), 1);
}

static void has_no_place(void)
{
	struct pair pair = make_pair();
	struct pipe pipe = make_pipe(0, 0);
	loff_t place = 0;

	FAILS(splice(pair.fd, &place, pipe.in, NULL, 1, 0), EINVAL);
	FAILS(splice(pipe.out, NULL, pair.fd, &place, 1, 0), EINVAL);
	FAILS(splice(pair.fd, NULL, pair.fd, NULL, 1, 0), EINVAL);
	FAILS(sendfile(pair.fd, pair.fd, NULL, 1), EINVAL);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(file_whole),	CASE(file_in_pieces),
		CASE(file_beside_writes), CASE(file_dont_wait),
		CASE(file_end_pushes),	CASE(file_changes),
		CASE(file_shrinks),	CASE(file_outlived),
		CASE(to_nobody),	CASE(from_pipe),
		CASE(from_pipe_with_more), CASE(from_full_socket),
		CASE(from_memory),	CASE(doubled),
		CASE(to_pipe),		CASE(to_small_pipe),
		CASE(to_full_pipe),	CASE(to_pipe_then_closed),
		CASE(socket_to_socket),	CASE(waits_for_data),
		CASE(stops_at_urgent),	CASE(has_no_place),
	};

	return RUN_CASES(cases);
}
