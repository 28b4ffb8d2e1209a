// SPDX-License-Identifier: GPL-2.0
/*
 * Segments that come while a task owns the socket. It is made to own it for as
 * long as we like by a send from memory that is not there yet (userfaultfd).
 */

#include <fcntl.h>
#include <linux/tcp.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "harness.h"

#define PAGE	4096

static struct pair pair;
static char *absent;	/* a page that is not there */
static int probes;	/* more than the peer was asked to send */

static int begin_absence(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		skip("this kernel has no userfaultfd");
	OK(ioctl(fd, UFFDIO_API, &api));
	absent = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(absent != MAP_FAILED);
	range.range.start = (uintptr_t)absent;
	range.range.len = PAGE;
	OK(ioctl(fd, UFFDIO_REGISTER, &range));
	return fd;
}

static void end_absence(int fd)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	struct uffdio_copy copy = {
		.dst = (uintptr_t)absent,
		.src = (uintptr_t)page,
		.len = PAGE,
	};

	OK(ioctl(fd, UFFDIO_COPY, &copy));
}

static void *send_absent(void *unused)
{
	(void)unused;
	EQ(send(pair.fd, absent, PAGE, 0), PAGE);
	return NULL;
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	return info;
}

/* How many segments the owner sent meanwhile, its page among them. */
static int sent_meanwhile(void)
{
	struct tcp_info before, after;
	struct uffd_msg fault;
	pthread_t sender;
	int fd, i;

	pair = make_pair();
	set_option(pair.peer, IPPROTO_TCP, TCP_NODELAY, 1);
	before = info_of(pair.fd);
	fd = begin_absence();
	CHECK(pthread_create(&sender, NULL, send_absent, NULL) == 0);
	EQ(read(fd, &fault, sizeof(fault)), sizeof(fault));
	for (i = 0; i < 8; i++)
		send_pattern(pair.peer, i * 1000, 1000);
	end_absence(fd);
	CHECK(pthread_join(sender, NULL) == 0);
	recv_pattern(pair.fd, 0, 8000);
	after = info_of(pair.fd);
	/* A slow machine may be probed, and answers that by itself. */
	probes = after.tcpi_data_segs_in - before.tcpi_data_segs_in - 8;
	BETWEEN(probes, 0, 2);
	return after.tcpi_segs_out - before.tcpi_segs_out;
}

/* All of them are taken in before one acknowledgment tells of them. */
static void one_ack_for_all(void)
{
	int sent = sent_meanwhile();

	/* The page, and one acknowledgment for all. */
	BETWEEN(sent, 2, 3 + probes);
}

/* Without tcp_backlog_ack_defer each second one is acknowledged. */
static void acks_for_each(void)
{
	int sent;

	own_netns();
	shell("echo 0 >/proc/sys/net/ipv4/tcp_backlog_ack_defer");
	sent = sent_meanwhile();
	BETWEEN(sent, 5, 9 + probes);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(one_ack_for_all),	CASE(acks_for_each),
	};

	return RUN_CASES(cases);
}
