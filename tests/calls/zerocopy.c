// SPDX-License-Identifier: GPL-2.0
/* Sending from the caller's pages (MSG_ZEROCOPY), and what its end is told. */
#define _GNU_SOURCE
#include "uring.h"

#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif

struct notice {
	unsigned int first;
	unsigned int last;
	bool copied;
};

static void allow(int fd)
{
	set_option(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
}

static struct pair make_zerocopy_pair(void)
{
	struct pair pair = make_pair();

	allow(pair.fd);
	return pair;
}

/* Pages of their own, which no other call of the case uses. */
static char *pages(size_t length)
{
	char *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(bytes != MAP_FAILED);
	pattern_fill(bytes, 0, length);
	return bytes;
}

/* Reads one notice; false if there is none. */
static bool read_notice(int fd, struct notice *notice)
{
	char control[256];
	struct msghdr message = {
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct sock_extended_err *error;
	struct cmsghdr *cmsg;
	ssize_t n = recvmsg(fd, &message, MSG_ERRQUEUE);

	if (n < 0) {
		CHECK(errno == EAGAIN);
		return false;
	}
	EQ(n, 0);
	EQ(message.msg_flags, MSG_ERRQUEUE);
	cmsg = CMSG_FIRSTHDR(&message);
	CHECK(cmsg);
	CHECK((cmsg->cmsg_level == SOL_IP && cmsg->cmsg_type == IP_RECVERR) ||
	      (cmsg->cmsg_level == SOL_IPV6 &&
	       cmsg->cmsg_type == IPV6_RECVERR));
	CHECK(!CMSG_NXTHDR(&message, cmsg));
	error = (struct sock_extended_err *)CMSG_DATA(cmsg);
	EQ(error->ee_errno, 0);
	EQ(error->ee_origin, SO_EE_ORIGIN_ZEROCOPY);
	EQ(error->ee_type, 0);
	CHECK(!(error->ee_code & ~SO_EE_CODE_ZEROCOPY_COPIED));
	notice->first = error->ee_info;
	notice->last = error->ee_data;
	notice->copied = error->ee_code & SO_EE_CODE_ZEROCOPY_COPIED;
	return true;
}

static void expect_no_notice(int fd)
{
	struct notice notice;

	CHECK(!read_notice(fd, &notice));
}

/* Waits for notices of the sends first to last, in their order. */
static void expect_notices(int fd, unsigned int first, unsigned int last,
			   bool copied)
{
	struct notice notice;

	while (first <= last) {
		CHECK(poll_for(fd, 0, 20000) & POLLERR);
		CHECK(read_notice(fd, &notice));
		EQ(notice.first, first);
		CHECK(notice.last >= first && notice.last <= last);
		EQ(notice.copied, copied);
		first = notice.last + 1;
	}
}

static void of_the_option(void)
{
	union address address;
	int server = listener(4, &address);
	int fds[] = { make_socket(0), server };
	int two = 2, minus = -1, one = 1, fd, child;

	for (int i = 0; i < 2; i++) {
		EQ(get_option(fds[i], SOL_SOCKET, SO_ZEROCOPY), 0);
		FAILS(setsockopt(fds[i], SOL_SOCKET, SO_ZEROCOPY, &two, 4),
		      EINVAL);
		FAILS(setsockopt(fds[i], SOL_SOCKET, SO_ZEROCOPY, &minus, 4),
		      EINVAL);
		FAILS(setsockopt(fds[i], SOL_SOCKET, SO_ZEROCOPY, &one, 3),
		      EINVAL);
		EQ(get_option(fds[i], SOL_SOCKET, SO_ZEROCOPY), 0);
		allow(fds[i]);
		EQ(get_option(fds[i], SOL_SOCKET, SO_ZEROCOPY), 1);
	}
	fd = make_socket_of(peer_family(), 0);
	OK(connect_to(fd, &address));
	child = accept_one(server);
	EQ(get_option(child, SOL_SOCKET, SO_ZEROCOPY), 1);
	EQ(send(child, pages(100), 100, MSG_ZEROCOPY), 100);
	recv_pattern(fd, 0, 100);
	expect_notices(child, 0, 0, true);
	set_option(child, SOL_SOCKET, SO_ZEROCOPY, 0);
	EQ(send(child, pages(100), 100, MSG_ZEROCOPY), 100);
	recv_pattern(fd, 0, 100);
	sleep_ms(50);
	expect_no_notice(child);
}

static void without_the_option(void)
{
	struct pair pair = make_pair();

	EQ(send(pair.fd, pages(5000), 5000, MSG_ZEROCOPY), 5000);
	recv_pattern(pair.peer, 0, 5000);
	sleep_ms(50);
	EQ(events_now(pair.fd) & POLLERR, 0);
	expect_no_notice(pair.fd);
}

/* What stays on the host is copied, since its reader may keep it. */
static void numbered(void)
{
	struct pair pair = make_zerocopy_pair();
	char *bytes = pages(20 * 9000);

	EQ(events_now(pair.fd) & POLLERR, 0);
	for (unsigned int i = 0; i < 20; i++) {
		EQ(send(pair.fd, bytes + i * 9000, 9000, MSG_ZEROCOPY), 9000);
		recv_pattern(pair.peer, i * 9000, 9000);
	}
	expect_notices(pair.fd, 0, 19, true);
	EQ(events_now(pair.fd) & POLLERR, 0);
	EQ(take_error(pair.fd), 0);
	expect_no_notice(pair.fd);
}

static void neighbours_in_one_notice(void)
{
	struct pair pair = make_zerocopy_pair();
	char *bytes = pages(8 * 1000);
	struct notice notice;

	for (unsigned int i = 0; i < 8; i++)
		EQ(send(pair.fd, bytes + i * 1000, 1000, MSG_ZEROCOPY), 1000);
	recv_pattern(pair.peer, 0, 8 * 1000);
	sleep_ms(100);
	CHECK(read_notice(pair.fd, &notice));
	EQ(notice.first, 0);
	EQ(notice.last, 7);
	expect_no_notice(pair.fd);
}

static void nothing_is_no_send(void)
{
	struct pair pair = make_zerocopy_pair();

	EQ(send(pair.fd, "", 0, MSG_ZEROCOPY), 0);
	sleep_ms(50);
	expect_no_notice(pair.fd);
	EQ(send(pair.fd, pages(1), 1, MSG_ZEROCOPY), 1);
	recv_pattern(pair.peer, 0, 1);
	expect_notices(pair.fd, 0, 0, true);
}

/* A send that fails has no number. */
static void failed_sends_are_not_counted(void)
{
	struct pair pair = make_zerocopy_pair();
	char *bytes = pages(4096);

	FAILS(send(pair.fd, (char *)64, 1000, MSG_ZEROCOPY), EFAULT);
	EQ(send(pair.fd, bytes, 4096, MSG_ZEROCOPY), 4096);
	recv_pattern(pair.peer, 0, 4096);
	expect_notices(pair.fd, 0, 0, true);
	OK(shutdown(pair.fd, SHUT_WR));
	FAILS(send(pair.fd, bytes, 4096, MSG_ZEROCOPY | MSG_NOSIGNAL), EPIPE);
	sleep_ms(50);
	expect_no_notice(pair.fd);
}

struct stream {
	int fd;
	char *bytes;
	size_t length;
};

static void read_stream(void *argument)
{
	const struct stream *stream = argument;

	recv_pattern(stream->fd, 0, stream->length);
}

/* Sends all of it by pieces of odd sizes; how many calls asked for notices. */
static unsigned int write_stream(const struct stream *stream, bool mix)
{
	unsigned int sends = 0, i = 0;
	size_t done = 0;

	while (done < stream->length) {
		size_t n = (i * 7919) % 150000 + 1;
		int flags = mix && i % 3 == 1 ? 0 : MSG_ZEROCOPY;

		if (n > stream->length - done)
			n = stream->length - done;
		n = OK(send(stream->fd, stream->bytes + done, n, flags));
		done += n;
		i++;
		sends += flags == MSG_ZEROCOPY;
	}
	return sends;
}

/* Returns how many sends with MSG_ZEROCOPY it took. */
static unsigned int pass_stream(const struct pair *pair, size_t length, bool mix)
{
	struct stream to = { pair->peer, NULL, length };
	struct stream from = { pair->fd, pages(length), length };
	pid_t reader = start(read_stream, &to);
	unsigned int sends = write_stream(&from, mix);

	finish(reader);
	return sends;
}

static void send_stream(const struct pair *pair, size_t length, bool mix)
{
	unsigned int sends = pass_stream(pair, length, mix);

	expect_notices(pair->fd, 0, sends - 1, true);
	expect_no_notice(pair->fd);
}

static void much(void)
{
	struct pair pair = make_zerocopy_pair();

	send_stream(&pair, fewer(8 << 20), false);
}

static void mixed_with_copies(void)
{
	struct pair pair = make_zerocopy_pair();

	send_stream(&pair, fewer(4 << 20), true);
}

static void through_a_small_buffer(void)
{
	struct pair pair = make_pair_with(8192, 0);

	allow(pair.fd);
	send_stream(&pair, fewer(1 << 20), true);
}

/*
 * What is sent again still lies where it lay. A packet that waits in a device keeps what it was
 * made of after that has arrived by another, so that the order of the notices may differ.
 */
static void with_losses(void)
{
	struct link link = make_link("delay 3ms loss 3%");
	struct pair pair = make_pair_over(&link);
	unsigned int sends, told = 0;
	struct notice notice;
	bool *seen;

	allow(pair.fd);
	sends = pass_stream(&pair, fewer(2 << 20), true);
	seen = calloc(sends, sizeof(*seen));
	CHECK(seen);
	while (told < sends) {
		CHECK(poll_for(pair.fd, 0, 20000) & POLLERR);
		CHECK(read_notice(pair.fd, &notice));
		CHECK(notice.first <= notice.last && notice.last < sends);
		CHECK(notice.copied);
		for (unsigned int i = notice.first; i <= notice.last; i++) {
			CHECK(!seen[i]);
			seen[i] = true;
			told++;
		}
	}
	expect_no_notice(pair.fd);
	free(seen);
}

/* A connection whose peer gets nothing any more. */
static struct pair make_cut_pair(void)
{
	struct link link = make_link(NULL);
	struct pair pair = make_pair_over(&link);

	allow(pair.fd);
	set_option(pair.fd, IPPROTO_TCP, TCP_NODELAY, 1);
	change_link(&link, "loss 100%");
	return pair;
}

/* What nobody copied is told as such, and whoever gives up gets all back. */
static void given_up(void)
{
	struct pair pair = make_cut_pair();
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	char *bytes = pages(10000);

	for (unsigned int i = 0; i < 5; i++)
		EQ(send(pair.fd, bytes + i * 2000, 2000, MSG_ZEROCOPY), 2000);
	sleep_ms(50);
	expect_no_notice(pair.fd);
	OK(connect(pair.fd, &nobody, sizeof(nobody)));
	expect_notices(pair.fd, 0, 4, false);
}

static void limited_notices(void)
{
	struct pair pair = make_cut_pair();
	char *bytes = pages(20000);
	unsigned int sends = 0;

	write_setting("core/optmem_max", "5000");
	while (sends < 20) {
		errno = 0;
		if (send(pair.fd, bytes + sends * 1000, 1000,
			 MSG_ZEROCOPY) < 0)
			break;
		sends++;
		sleep_ms(2);
	}
	CHECK(errno == ENOBUFS);
	BETWEEN(sends, 1, 9);
	EQ(send(pair.fd, bytes, 10, 0), 10);
	FAILS(send(pair.fd, bytes, 10, MSG_ZEROCOPY), ENOBUFS);
}

/*
 * An unprivileged user, whom no other test knows, who may pin so many bytes:
 * what a user pins is counted for all of its processes.
 */
static void restrict_to(size_t bytes, pid_t number)
{
	struct rlimit limit = { bytes, bytes };
	uid_t user = 100000 + number;

	OK(setrlimit(RLIMIT_MEMLOCK, &limit));
	OK(setresuid(user, user, user));
}

static void limited_memory(void)
{
	struct pair pair = make_cut_pair();
	char *bytes = pages(1 << 20);

	/* A call pins its pages and two more at most. */
	restrict_to(32 << 10, getpid());
	FAILS(send(pair.fd, bytes, 1 << 20, MSG_ZEROCOPY), ENOBUFS);
	EQ(send(pair.fd, bytes, 5000, MSG_ZEROCOPY), 5000);
	EQ(send(pair.fd, bytes, 5000, MSG_ZEROCOPY), 5000);
	FAILS(send(pair.fd, bytes, 5000, MSG_ZEROCOPY), ENOBUFS);
	EQ(send(pair.fd, bytes, 5000, 0), 5000);
}

static void pin_and_wait(void *argument)
{
	const struct stream *stream = argument;

	restrict_to(16 << 10, getppid());
	EQ(send(stream->fd, stream->bytes, 5000, MSG_ZEROCOPY), 5000);
	OK(raise(SIGSTOP));
}

static void pin_as_much(void *argument)
{
	const struct stream *stream = argument;

	restrict_to(16 << 10, getppid());
	EQ(send(stream->fd, stream->bytes, 5000, MSG_ZEROCOPY), 5000);
}

/* Who is killed has pinned nothing afterwards. */
static void killed(void)
{
	struct pair first = make_cut_pair();
	struct pair second = make_cut_pair();
	struct stream stream = { first.fd, pages(5000), 5000 };
	pid_t child;
	int status;

	linger_zero(first.fd);
	child = start(pin_and_wait, &stream);
	EQ(waitpid(child, &status, WUNTRACED), child);
	CHECK(WIFSTOPPED(status));
	/* The child's descriptor is the last. */
	OK(close(first.fd));
	OK(kill(child, SIGKILL));
	EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
	sleep_ms(50);
	stream.fd = second.fd;
	finish(start(pin_as_much, &stream));
}

static void reset_by_peer(void)
{
	struct pair pair = make_zerocopy_pair();
	char *bytes = pages(100000);

	linger_zero(pair.peer);
	EQ(send(pair.fd, bytes, 100000, MSG_ZEROCOPY), 100000);
	OK(close(pair.peer));
	CHECK(poll_for(pair.fd, 0, 5000) & POLLHUP);
	EQ(take_error(pair.fd), ECONNRESET);
	expect_notices(pair.fd, 0, 0, true);
	expect_no_notice(pair.fd);
}

/* More calls than one notice takes, none of them read. */
static void unread_notices(void)
{
	struct pair pair = make_zerocopy_pair();
	char *bytes = pages(4096);

	for (unsigned int i = 0; i < 500; i++) {
		EQ(send(pair.fd, bytes + i, 1, MSG_ZEROCOPY), 1);
		recv_pattern(pair.peer, i, 1);
	}
	CHECK(poll_for(pair.fd, 0, 5000) & POLLERR);
}

/* Reads all that comes until the other end closes; how much that was. */
static size_t read_out(int fd)
{
	char bytes[4096];
	size_t length = 0;
	ssize_t n;

	while ((n = OK(recv(fd, bytes, sizeof(bytes), 0))) > 0) {
		pattern_check(bytes, length, n);
		length += n;
	}
	return length;
}

static struct io_uring_sqe *zerocopy_entry(struct ring *ring, int fd,
					   const char *bytes, size_t length)
{
	struct io_uring_sqe *entry = entry_with(ring, IORING_OP_SEND_ZC, fd, 1,
						bytes, length);

	entry->ioprio = IORING_SEND_ZC_REPORT_USAGE;
	return entry;
}

/* The first completion tells of the send, the second of its pages. */
static void expect_both(struct ring *ring, size_t length, unsigned int usage)
{
	struct done done = completion(ring);

	EQ(done.tag, 1);
	EQ(done.result, length);
	EQ(done.flags & (IORING_CQE_F_MORE | IORING_CQE_F_NOTIF),
	   IORING_CQE_F_MORE);
	done = completion(ring);
	EQ(done.tag, 1);
	EQ(done.flags & (IORING_CQE_F_MORE | IORING_CQE_F_NOTIF),
	   IORING_CQE_F_NOTIF);
	EQ((unsigned int)done.result, usage);
}

/* io_uring asks for no option of the socket, and tells by itself. */
static void of_io_uring(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();
	char *bytes = pages(50000);

	zerocopy_entry(&ring, pair.fd, bytes, 20000);
	submit(&ring);
	recv_pattern(pair.peer, 0, 20000);
	expect_both(&ring, 20000, IORING_NOTIF_USAGE_ZC_COPIED);
	zerocopy_entry(&ring, pair.fd, bytes + 20000, 30000);
	submit(&ring);
	OK(shutdown(pair.fd, SHUT_WR));
	recv_pattern(pair.peer, 20000, 30000);
	expect_both(&ring, 30000, IORING_NOTIF_USAGE_ZC_COPIED);
	expect_no_notice(pair.fd);
}

/* Memory that was registered beforehand is not referenced page by page. */
static void of_registered_memory(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_pair();
	char *bytes = pages(64 << 10);
	struct iovec memory = { bytes, 64 << 10 };
	struct io_uring_sqe *entry;

	OK(syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS,
		   &memory, 1));
	entry = zerocopy_entry(&ring, pair.fd, bytes, 64 << 10);
	entry->ioprio |= IORING_RECVSEND_FIXED_BUF;
	entry->buf_index = 0;
	submit(&ring);
	OK(shutdown(pair.peer, SHUT_WR));
	recv_pattern(pair.peer, 0, 64 << 10);
	expect_both(&ring, 64 << 10, IORING_NOTIF_USAGE_ZC_COPIED);
	OK(close(pair.fd));
	EQ(read_out(pair.peer), 0);
}

/* Without a reader: given up, all comes back. */
static void of_io_uring_given_up(void)
{
	struct ring ring = make_ring(0);
	struct pair pair = make_cut_pair();
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	zerocopy_entry(&ring, pair.fd, pages(10000), 10000);
	submit(&ring);
	sleep_ms(50);
	OK(connect(pair.fd, &nobody, sizeof(nobody)));
	expect_both(&ring, 10000, 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(of_the_option),
		CASE(without_the_option),
		CASE(numbered),
		CASE(neighbours_in_one_notice),
		CASE(nothing_is_no_send),
		CASE(failed_sends_are_not_counted),
		CASE(much),
		CASE(mixed_with_copies),
		CASE(through_a_small_buffer),
		CASE(with_losses),
		CASE(given_up),
		CASE(limited_notices),
		CASE(limited_memory),
		CASE(killed),
		CASE(reset_by_peer),
		CASE(unread_notices),
		CASE(of_io_uring),
		CASE(of_registered_memory),
		CASE(of_io_uring_given_up),
	};

	return RUN_CASES(cases);
}
