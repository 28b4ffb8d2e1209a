// SPDX-License-Identifier: GPL-2.0
/* Received pages in the reader's address space: mmap, TCP_ZEROCOPY_RECEIVE. */
#define _GNU_SOURCE
#include "harness.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define PAGE		4096
#define AREA		(64 * PAGE)
/* The page and the option of time stamps: each segment carries a page. */
#define PAGE_MSS	(PAGE + 12)
#define CLEAN		1	/* TCP_RECEIVE_ZEROCOPY_FLAG_TLB_CLEAN_HINT */

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY	60
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY	0x4000000
#endif

/* As the kernel has it; the C library's may be older. */
struct request {
	uint64_t address;
	uint32_t length;
	uint32_t skip;
	uint32_t inq;
	int32_t error;
	uint64_t copy_address;
	int32_t copy_length;
	uint32_t flags;
	uint64_t control;
	uint64_t control_length;
	uint32_t message_flags;
	uint32_t reserved;
};

static char *area(int fd)
{
	char *place = mmap(NULL, AREA, PROT_READ, MAP_SHARED, fd, 0);

	CHECK(place != MAP_FAILED);
	return place;
}

/*
 * A pair that carries whole pages: what it sends of the caller's pages reaches
 * the receiver, over the loopback device, as copies in pages of their own.
 */
static struct pair page_pair(void)
{
	union address address;
	struct pair pair;
	int server = make_socket_of(role_passive() ? family() : peer_family(),
				    0);

	set_option(server, IPPROTO_TCP, TCP_MAXSEG, PAGE_MSS);
	address = loopback(0);
	OK(bind_to(server, &address));
	OK(listen(server, 4));
	address = local_of(server);
	pair.fd = make_socket_of(role_passive() ? peer_family() : family(), 0);
	set_option(pair.fd, IPPROTO_TCP, TCP_MAXSEG, PAGE_MSS);
	OK(connect_to(pair.fd, &address));
	pair.peer = accept_one(server);
	if (role_passive()) {
		int fd = pair.fd;

		pair.fd = pair.peer;
		pair.peer = fd;
	}
	set_option(pair.peer, SOL_SOCKET, SO_ZEROCOPY, 1);
	return pair;
}

/* Sends so many bytes of the pattern from whole pages, and waits for them. */
static void send_pages(const struct pair *pair, uint64_t offset, size_t length)
{
	char *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int low = get_option(pair->fd, SOL_SOCKET, SO_RCVLOWAT);

	CHECK(bytes != MAP_FAILED);
	pattern_fill(bytes, offset, length);
	EQ(send(pair->peer, bytes, length, MSG_ZEROCOPY), length);
	set_option(pair->fd, SOL_SOCKET, SO_RCVLOWAT, length);
	CHECK(poll_for(pair->fd, POLLIN, 20000) & POLLIN);
	set_option(pair->fd, SOL_SOCKET, SO_RCVLOWAT, low);
}

static int ask_with(int fd, struct request *request, socklen_t *length)
{
	return getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, request,
			  length);
}

static int ask(int fd, struct request *request)
{
	socklen_t length = sizeof(*request);

	return ask_with(fd, request, &length);
}

static struct request request_of(const char *place, uint32_t length)
{
	return (struct request){
		.address = (uintptr_t)place,
		.length = length,
	};
}

static void of_areas(void)
{
	union address address;
	int fds[] = { make_socket(0), listener(1, &address), make_pair().fd };

	for (int i = 0; i < 3; i++) {
		volatile char *place = area(fds[i]);

		FAILS((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				 fds[i], 0), EPERM);
		FAILS((long)mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED,
				 fds[i], 0), EPERM);
		FAILS(mprotect((char *)place, AREA, PROT_READ | PROT_WRITE),
		      EACCES);
		FAILS(mprotect((char *)place, AREA, PROT_READ | PROT_EXEC),
		      EACCES);
		OK(munmap((char *)place, PAGE));
		OK(munmap((char *)place + PAGE, AREA - PAGE));
	}
}

/* What the caller got wrong is told before anything else is looked at. */
static void of_requests(void)
{
	struct pair pair = make_pair();
	char *place = area(pair.fd), *other;
	struct request request = request_of(place, AREA);
	char wide[96] = { 0 };
	socklen_t length;

	other = mmap(NULL, AREA, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(other != MAP_FAILED);
	for (length = 0; length < 12; length++)
		FAILS(ask_with(pair.fd, &request, &length), EINVAL);
	length = -1;
	FAILS(ask_with(pair.fd, &request, &length), EINVAL);
	request.reserved = 1;
	FAILS(ask(pair.fd, &request), EINVAL);
	request = request_of(place, AREA);
	request.message_flags = 1;
	FAILS(ask(pair.fd, &request), EINVAL);
	request.message_flags = 2;
	OK(ask(pair.fd, &request));
	EQ(request.message_flags, 0);
	request = request_of(place + 1, AREA);
	FAILS(ask(pair.fd, &request), EINVAL);
	length = sizeof(wide);
	memcpy(wide, &(struct request){ .address = (uintptr_t)place },
	       sizeof(request));
	OK(getsockopt(pair.fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, wide,
		      &length));
	EQ(length, sizeof(request));
	wide[70] = 1;
	length = sizeof(wide);
	FAILS(getsockopt(pair.fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, wide,
			 &length), EINVAL);
	length = sizeof(request);
	FAILS(getsockopt(pair.fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, NULL,
			 &length), EFAULT);
	/* Where nothing is mapped of a socket, only once there is something. */
	request = request_of(other, AREA);
	OK(ask(pair.fd, &request));
	send_pattern(pair.peer, 0, 2 * PAGE);
	set_option(pair.fd, SOL_SOCKET, SO_RCVLOWAT, 2 * PAGE);
	CHECK(poll_for(pair.fd, POLLIN, 20000) & POLLIN);
	request = request_of(other, AREA);
	FAILS(ask(pair.fd, &request), EINVAL);
	request = request_of(NULL, AREA);
	FAILS(ask(pair.fd, &request), EINVAL);
	FAILS(setsockopt(pair.fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &request,
			 sizeof(request)), ENOPROTOOPT);
	recv_pattern(pair.fd, 0, 2 * PAGE);
}

/* What a caller of an older kernel's structure is told. */
static void of_older_callers(void)
{
	struct pair pair = make_pair();
	char *place = area(pair.fd);

	send_pattern(pair.peer, 0, 100);
	CHECK(poll_for(pair.fd, POLLIN, 20000) & POLLIN);
	for (socklen_t size = 12; size <= sizeof(struct request); size++) {
		struct request request = request_of(place, AREA);
		socklen_t length = size;

		request.skip = 7;
		request.inq = 8;
		request.error = 9;
		OK(ask_with(pair.fd, &request, &length));
		EQ(length, size);
		EQ(request.length, 0);
		if (size == 12 || size >= 16)
			EQ(request.skip, size == 12 ? 7 : 100);
		EQ(request.inq == 100, size == 20 || size == 24 || size == 32 ||
		   size == 36 || size == 40 || size == 48 || size == 56 ||
		   size >= 60);
		EQ(request.error == 0, size == 24 || size == 32 || size == 36 ||
		   size == 40 || size == 48 || size == 56 || size >= 60);
	}
	recv_pattern(pair.fd, 0, 100);
}

static void without_data(void)
{
	union address address;
	int server = listener(1, &address);
	struct pair pair = make_pair();
	char *place = area(pair.fd);
	struct request request = request_of(area(server), AREA);
	int fd = make_socket(0);

	FAILS(ask(server, &request), ENOTCONN);
	request = request_of(area(fd), AREA);
	OK(ask(fd, &request));
	EQ(request.length, 0);
	request = request_of(place, AREA);
	OK(ask(pair.fd, &request));
	EQ(request.length, 0);
	EQ(request.skip, 0);
	EQ(request.inq, 0);
	/* The end of the stream counts as a byte that is left. */
	OK(shutdown(pair.peer, SHUT_WR));
	CHECK(poll_for(pair.fd, POLLIN, 20000) & POLLIN);
	request = request_of(place, AREA);
	FAILS(ask(pair.fd, &request), EIO);
}

static void pages_are_mapped(void)
{
	struct pair pair = page_pair();
	char *place = area(pair.fd);
	struct request request = request_of(place, AREA);

	send_pages(&pair, 0, 8 * PAGE);
	OK(ask(pair.fd, &request));
	EQ(request.length, 8 * PAGE);
	EQ(request.skip, 0);
	EQ(request.inq, 0);
	pattern_check(place, 0, 8 * PAGE);
	EQ(events_now(pair.fd) & POLLIN, 0);
	/* What was there stays until the next request replaces it. */
	send_pages(&pair, 8 * PAGE, 3 * PAGE);
	pattern_check(place, 0, 8 * PAGE);
	request = request_of(place, AREA);
	OK(ask(pair.fd, &request));
	EQ(request.length, 3 * PAGE);
	pattern_check(place, 8 * PAGE, 3 * PAGE);
}

/* As far as the request and the area go. */
static void parts_are_mapped(void)
{
	struct pair pair = page_pair();
	char *place = area(pair.fd);
	struct request request = request_of(place, 2 * PAGE + 100);

	send_pages(&pair, 0, 8 * PAGE);
	OK(ask(pair.fd, &request));
	EQ(request.length, 2 * PAGE);
	EQ(request.skip, 0);
	EQ(request.inq, 6 * PAGE);
	pattern_check(place, 0, 2 * PAGE);
	request = request_of(place + AREA - 3 * PAGE, 8 * PAGE);
	OK(ask(pair.fd, &request));
	EQ(request.length, 3 * PAGE);
	EQ(request.inq, 3 * PAGE);
	pattern_check(place + AREA - 3 * PAGE, 2 * PAGE, 3 * PAGE);
	/* Less than a page is to be read. */
	request = request_of(place, PAGE - 1);
	OK(ask(pair.fd, &request));
	EQ(request.length, 0);
	EQ(request.skip, PAGE - 1);
	recv_pattern(pair.fd, 5 * PAGE, 3 * PAGE);
}

/* The first page is read in part: what is left of it cannot be mapped. */
static void what_is_no_page_is_skipped(void)
{
	struct pair pair = page_pair();
	char *place = area(pair.fd);
	struct request request = request_of(place, AREA);

	send_pages(&pair, 0, 4 * PAGE + 100);
	recv_pattern(pair.fd, 0, 10);
	OK(ask(pair.fd, &request));
	EQ(request.length, 0);
	CHECK(request.skip >= PAGE - 10);
	recv_pattern(pair.fd, 10, PAGE - 10);
	request = request_of(place, AREA);
	OK(ask(pair.fd, &request));
	EQ(request.length, 3 * PAGE);
	EQ(request.inq, 100);
	pattern_check(place, PAGE, 3 * PAGE);
	recv_pattern(pair.fd, 4 * PAGE, 100);
}

static void copied_bytes_are_not_mapped(void)
{
	struct pair pair = make_pair();
	char *place = area(pair.fd);
	struct request request = request_of(place, AREA);
	uint32_t skip;

	send_pattern(pair.peer, 0, 5 * PAGE);
	set_option(pair.fd, SOL_SOCKET, SO_RCVLOWAT, 5 * PAGE);
	CHECK(poll_for(pair.fd, POLLIN, 20000) & POLLIN);
	OK(ask(pair.fd, &request));
	EQ(request.length, 0);
	skip = request.skip;
	BETWEEN(skip, PAGE, 5 * PAGE);
	EQ(request.inq, 5 * PAGE);
	recv_pattern(pair.fd, 0, 5 * PAGE);
}

static void the_rest_is_copied(void)
{
	struct pair pair = page_pair();
	char *place = area(pair.fd), rest[200];
	struct request request = request_of(place, AREA);

	/* Few enough bytes that they all have room. */
	send_pages(&pair, 0, 150);
	request.copy_address = (uintptr_t)rest;
	request.copy_length = sizeof(rest);
	OK(ask(pair.fd, &request));
	EQ(request.length, 0);
	EQ(request.copy_length, 150);
	EQ(request.skip, 0);
	pattern_check(rest, 0, 150);
	/* Behind whole pages. */
	send_pages(&pair, 150, 2 * PAGE + 50);
	request = request_of(place, AREA);
	request.copy_address = (uintptr_t)rest;
	request.copy_length = sizeof(rest);
	OK(ask(pair.fd, &request));
	EQ(request.length, 2 * PAGE);
	pattern_check(place, 150, 2 * PAGE);
	if (request.copy_length) {
		EQ(request.copy_length, 50);
		pattern_check(rest, 150 + 2 * PAGE, 50);
	} else {
		recv_pattern(pair.fd, 150 + 2 * PAGE, 50);
	}
	/* Memory that cannot be written loses nothing. */
	send_pages(&pair, 0, 100);
	request = request_of(place, AREA);
	request.copy_address = (uintptr_t)place;
	request.copy_length = sizeof(rest);
	FAILS(ask(pair.fd, &request), EFAULT);
	recv_pattern(pair.fd, 0, 100);
}

/* A reader who says that his area is empty is believed, and checked. */
static void of_the_hint(void)
{
	struct pair pair = page_pair();
	char *place = area(pair.fd);
	struct request request = request_of(place, AREA);

	request.flags = CLEAN;
	send_pages(&pair, 0, 3 * PAGE);
	OK(ask(pair.fd, &request));
	EQ(request.length, 3 * PAGE);
	pattern_check(place, 0, 3 * PAGE);
	OK(madvise(place, AREA, MADV_DONTNEED));
	for (int turn = 1; turn <= 2; turn++) {
		request = request_of(place, AREA);
		request.flags = CLEAN;
		send_pages(&pair, turn * 3 * PAGE, 3 * PAGE);
		OK(ask(pair.fd, &request));
		EQ(request.length, 3 * PAGE);
		pattern_check(place, turn * 3 * PAGE, 3 * PAGE);
	}
}

static void stamps_are_told(void)
{
	struct pair pair = page_pair();
	char *place = area(pair.fd), control[128];
	struct request request = request_of(place, AREA);
	struct msghdr message = { .msg_control = control };
	struct cmsghdr *cmsg;

	set_option(pair.fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	/* The clock of packets runs a while after it was asked for. */
	sleep_ms(20);
	send_pages(&pair, 0, 2 * PAGE);
	request.message_flags = 2;
	request.control = (uintptr_t)control;
	request.control_length = sizeof(control);
	OK(ask(pair.fd, &request));
	EQ(request.length, 2 * PAGE);
	message.msg_controllen = sizeof(control) - request.control_length;
	CHECK(request.control == (uintptr_t)control + message.msg_controllen);
	cmsg = CMSG_FIRSTHDR(&message);
	CHECK(cmsg);
	EQ(cmsg->cmsg_level, SOL_SOCKET);
	EQ(cmsg->cmsg_type, SO_TIMESTAMPNS);
}

/* Pages outlive the socket; the area stays what it was. */
static void the_area_outlives_the_socket(void)
{
	struct pair pair = page_pair();
	char *place = area(pair.fd);
	struct request request = request_of(place, AREA);

	send_pages(&pair, 0, 4 * PAGE);
	OK(ask(pair.fd, &request));
	EQ(request.length, 4 * PAGE);
	OK(close(pair.fd));
	OK(close(pair.peer));
	pattern_check(place, 0, 4 * PAGE);
	OK(munmap(place, AREA));
}

/* What was mapped makes room in the window. */
static void the_window_opens(void)
{
	struct pair pair = page_pair();
	char *place = area(pair.fd);
	uint64_t mapped = 0;

	for (int turn = 0; turn < 100; turn++) {
		struct request request = request_of(place, AREA);

		send_pages(&pair, mapped, 16 * PAGE);
		OK(ask(pair.fd, &request));
		EQ(request.length, 16 * PAGE);
		pattern_check(place, mapped, 16 * PAGE);
		mapped += request.length;
	}
}

int main(void)
{
	const struct test_case cases[] = {
		CASE(of_areas),
		CASE(of_requests),
		CASE(of_older_callers),
		CASE(without_data),
		CASE(pages_are_mapped),
		CASE(parts_are_mapped),
		CASE(what_is_no_page_is_skipped),
		CASE(copied_bytes_are_not_mapped),
		CASE(the_rest_is_copied),
		CASE(of_the_hint),
		CASE(stamps_are_told),
		CASE(the_area_outlives_the_socket),
		CASE(the_window_opens),
	};

	return RUN_CASES(cases);
}
