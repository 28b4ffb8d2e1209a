// SPDX-License-Identifier: GPL-2.0
/* When data came, and when what was sent left and arrived. */
#define _GNU_SOURCE
#include "harness.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>

#define NEW_TIMESTAMP		63
#define NEW_TIMESTAMPNS		64
#define NEW_TIMESTAMPING	65

static long long now_ns(void)
{
	struct timespec now;

	OK(clock_gettime(CLOCK_REALTIME, &now));
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* A message of which the control part is of interest. */
struct told {
	struct msghdr message;
	struct iovec iov;
	char control[512];
};

static struct msghdr *receiver(struct told *told, void *bytes, size_t length)
{
	*told = (struct told){ .iov = { bytes, length } };
	told->message.msg_iov = &told->iov;
	told->message.msg_iovlen = 1;
	told->message.msg_control = told->control;
	told->message.msg_controllen = sizeof(told->control);
	return &told->message;
}

/* The control message of this type at SOL_SOCKET, NULL if there is none. */
static void *find(struct told *told, int type)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(&told->message); cmsg;
	     cmsg = CMSG_NXTHDR(&told->message, cmsg))
		if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == type)
			return CMSG_DATA(cmsg);
	return NULL;
}

static int count(struct told *told)
{
	struct cmsghdr *cmsg;
	int n = 0;

	for (cmsg = CMSG_FIRSTHDR(&told->message); cmsg;
	     cmsg = CMSG_NXTHDR(&told->message, cmsg))
		n++;
	return n;
}

/* Two integers of a control message as nanoseconds. */
static long long pair_ns(const void *data, long long unit)
{
	long long parts[2];

	memcpy(parts, data, sizeof(parts));
	return parts[0] * 1000000000LL + parts[1] * unit;
}

static void wait_readable(int fd, int bytes)
{
	int there = 0;

	while (there < bytes) {
		OK(ioctl(fd, SIOCINQ, &there));
		sleep_ms(1);
	}
}

/* Sends some bytes and reads them; what the reader is told about the time. */
static void transfer(struct pair *pair, struct told *told)
{
	char bytes[10];

	EQ(send(pair->peer, "0123456789", 10, 0), 10);
	wait_readable(pair->fd, 10);
	EQ(recvmsg(pair->fd, receiver(told, bytes, 10), 0), 10);
}

static void of_received_data(void)
{
	static const struct {
		int option;
		int type;
		long long unit;
	} kinds[] = {
		{ SO_TIMESTAMP, SO_TIMESTAMP, 1000 },
		{ SO_TIMESTAMPNS, SO_TIMESTAMPNS, 1 },
		{ NEW_TIMESTAMP, NEW_TIMESTAMP, 1000 },
		{ NEW_TIMESTAMPNS, NEW_TIMESTAMPNS, 1 },
	};
	struct pair pair = make_pair();
	struct told told;
	long long before;
	void *data;

	transfer(&pair, &told);
	EQ(count(&told), 0);
	for (int i = 0; i < 4; i++) {
		set_option(pair.fd, SOL_SOCKET, kinds[i].option, 1);
		sleep_ms(20);
		before = now_ns();
		transfer(&pair, &told);
		EQ(count(&told), 1);
		data = find(&told, kinds[i].type);
		CHECK(data);
		BETWEEN(pair_ns(data, kinds[i].unit), before - 1000, now_ns());
		set_option(pair.fd, SOL_SOCKET, kinds[i].option, 0);
	}
	transfer(&pair, &told);
	EQ(count(&told), 0);
}

/* Of several packets that are read together the last counts. */
static void of_the_last_byte(void)
{
	struct pair pair = make_pair();
	long long between, first, second;
	struct told told;
	char bytes[30];
	void *data;

	set_option(pair.fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	sleep_ms(20);
	EQ(send(pair.peer, bytes, 10, 0), 10);
	wait_readable(pair.fd, 10);
	sleep_ms(30);
	between = now_ns();
	EQ(send(pair.peer, bytes, 10, 0), 10);
	wait_readable(pair.fd, 20);
	EQ(recvmsg(pair.fd, receiver(&told, bytes, 30), MSG_PEEK), 20);
	data = find(&told, SO_TIMESTAMPNS);
	CHECK(data);
	second = pair_ns(data, 1);
	CHECK(second >= between);
	EQ(recvmsg(pair.fd, receiver(&told, bytes, 20), 0), 20);
	data = find(&told, SO_TIMESTAMPNS);
	CHECK(data);
	first = pair_ns(data, 1);
	EQ(first, second);
}

static void of_so_timestamping(void)
{
	static const struct {
		unsigned int flags;
		bool told;
	} kinds[] = {
		{ SOF_TIMESTAMPING_RX_SOFTWARE, false },
		{ SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE,
		  true },
		{ SOF_TIMESTAMPING_RX_HARDWARE |
		  SOF_TIMESTAMPING_RAW_HARDWARE, false },
		{ SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
		  SOF_TIMESTAMPING_OPT_RX_FILTER, true },
	};
	static const int options[] = { SO_TIMESTAMPING, NEW_TIMESTAMPING };
	struct pair pair = make_pair();
	struct told told;
	long long before;
	long long *data;

	for (int i = 0; i < 8; i++) {
		int option = options[i / 4];

		set_option(pair.fd, SOL_SOCKET, option, kinds[i % 4].flags);
		sleep_ms(20);
		before = now_ns();
		transfer(&pair, &told);
		data = find(&told, option);
		EQ(data != NULL, kinds[i % 4].told);
		EQ(count(&told), kinds[i % 4].told);
		if (!data)
			continue;
		BETWEEN(pair_ns(data, 1), before, now_ns());
		for (int j = 2; j < 6; j++)
			EQ(data[j], 0);
	}
}

/* SIOCGSTAMP tells of datagrams only. */
static void of_the_ioctl(void)
{
	struct pair pair = make_pair();
	struct timespec stamp;
	struct told told;

	FAILS(ioctl(pair.fd, SIOCGSTAMPNS, &stamp), ENOENT);
	transfer(&pair, &told);
	FAILS(ioctl(pair.fd, SIOCGSTAMPNS, &stamp), ENOENT);
}

static void inherited(void)
{
	union address address;
	int server = listener(4, &address);
	struct pair pair;
	struct told told;

	set_option(server, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	pair.peer = make_socket_of(peer_family(), 0);
	OK(connect_to(pair.peer, &address));
	pair.fd = accept_one(server);
	sleep_ms(20);
	transfer(&pair, &told);
	CHECK(find(&told, SO_TIMESTAMPNS));
}

#define WAY	(SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_SOFTWARE | \
		 SOF_TIMESTAMPING_TX_ACK)
#define BY_ID	(SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | \
		 SOF_TIMESTAMPING_OPT_TSONLY)

struct report {
	int kind;
	unsigned int id;
	long long when;
	ssize_t length;
	char bytes[4096];
};

/* Reads one report; false if there is none. */
static bool read_report(int fd, struct report *report)
{
	struct sock_extended_err *error = NULL;
	struct cmsghdr *cmsg;
	struct told told;
	ssize_t n;

	n = recvmsg(fd, receiver(&told, report->bytes, sizeof(report->bytes)),
		    MSG_ERRQUEUE);
	if (n < 0) {
		CHECK(errno == EAGAIN);
		return false;
	}
	report->length = n;
	for (cmsg = CMSG_FIRSTHDR(&told.message); cmsg;
	     cmsg = CMSG_NXTHDR(&told.message, cmsg))
		if ((cmsg->cmsg_level == SOL_IP &&
		     cmsg->cmsg_type == IP_RECVERR) ||
		    (cmsg->cmsg_level == SOL_IPV6 &&
		     cmsg->cmsg_type == IPV6_RECVERR))
			error = (struct sock_extended_err *)CMSG_DATA(cmsg);
	CHECK(error);
	EQ(error->ee_errno, ENOMSG);
	EQ(error->ee_origin, SO_EE_ORIGIN_TIMESTAMPING);
	report->kind = error->ee_info;
	report->id = error->ee_data;
	CHECK(find(&told, SO_TIMESTAMPING));
	report->when = pair_ns(find(&told, SO_TIMESTAMPING), 1);
	return true;
}

static void expect_report(int fd, int kind, unsigned int id,
			  struct report *report)
{
	CHECK(poll_for(fd, 0, 10000) & POLLERR);
	CHECK(read_report(fd, report));
	EQ(report->kind, kind);
	EQ(report->id, id);
}

static void expect_way(int fd, unsigned int id)
{
	long long before = 0;
	struct report report;

	for (int i = 0; i < 3; i++) {
		static const int kinds[] = { SCM_TSTAMP_SCHED, SCM_TSTAMP_SND,
					     SCM_TSTAMP_ACK };

		expect_report(fd, kinds[i], id, &report);
		CHECK(report.when >= before);
		before = report.when;
	}
}

static void expect_no_report(int fd)
{
	struct report report;

	CHECK(!read_report(fd, &report));
	EQ(events_now(fd) & POLLERR, 0);
}

static void of_sent_data(void)
{
	struct pair pair = make_pair();
	struct report report;

	set_option(pair.fd, SOL_SOCKET, SO_TIMESTAMPING, WAY | BY_ID);
	EQ(get_option(pair.fd, SOL_SOCKET, SO_TIMESTAMPING), WAY | BY_ID);
	send_pattern(pair.fd, 0, 100);
	expect_way(pair.fd, 99);
	send_pattern(pair.fd, 100, 50);
	expect_way(pair.fd, 149);
	EQ(take_error(pair.fd), 0);
	recv_pattern(pair.peer, 0, 150);
	expect_no_report(pair.fd);
	set_option(pair.fd, SOL_SOCKET, SO_TIMESTAMPING,
		   (WAY | BY_ID) & ~SOF_TIMESTAMPING_OPT_ID);
	send_pattern(pair.fd, 150, 10);
	expect_report(pair.fd, SCM_TSTAMP_SCHED, 0, &report);
	expect_report(pair.fd, SCM_TSTAMP_SND, 0, &report);
	expect_report(pair.fd, SCM_TSTAMP_ACK, 0, &report);
	set_option(pair.fd, SOL_SOCKET, SO_TIMESTAMPING, 0);
	send_pattern(pair.fd, 160, 10);
	recv_pattern(pair.peer, 150, 20);
	sleep_ms(20);
	expect_no_report(pair.fd);
}

/* What is not to be had, and when. */
static void refused(void)
{
	static const int always[] = {
		1 << 20, SOF_TIMESTAMPING_OPT_ID_TCP,
		SOF_TIMESTAMPING_OPT_STATS,
	};
	union address address;
	int server = listener(4, &address);
	int fds[] = { make_socket(0), server, make_pair().fd };
	int by_id = BY_ID;

	for (int i = 0; i < 3; i++) {
		for (int j = 0; j < 3; j++)
			FAILS(setsockopt(fds[i], SOL_SOCKET, SO_TIMESTAMPING,
					 &always[j], 4), EINVAL);
		FAILS(setsockopt(fds[i], SOL_SOCKET, SO_TIMESTAMPING, &by_id,
				 3), EINVAL);
		EQ(get_option(fds[i], SOL_SOCKET, SO_TIMESTAMPING), 0);
	}
	FAILS(setsockopt(fds[0], SOL_SOCKET, SO_TIMESTAMPING, &by_id, 4),
	      EINVAL);
	FAILS(setsockopt(fds[1], SOL_SOCKET, SO_TIMESTAMPING, &by_id, 4),
	      EINVAL);
	OK(setsockopt(fds[2], SOL_SOCKET, SO_TIMESTAMPING, &by_id, 4));
	by_id &= ~SOF_TIMESTAMPING_OPT_ID;
	OK(setsockopt(fds[0], SOL_SOCKET, SO_TIMESTAMPING, &by_id, 4));
}

/* Bytes count from what the peer has, or from what was written. */
static void numbered_from_here(void)
{
	static const int flags[] = { 0, SOF_TIMESTAMPING_OPT_ID_TCP };
	static const unsigned int ids[] = { 1009, 9 };
	struct link link = make_link("delay 40ms");

	for (int i = 0; i < 2; i++) {
		struct pair pair = make_pair_over(&link);
		struct report report;

		send_pattern(pair.fd, 0, 300);
		recv_pattern(pair.peer, 0, 300);
		sleep_ms(120);
		send_pattern(pair.fd, 300, 1000);
		set_option(pair.fd, SOL_SOCKET, SO_TIMESTAMPING,
			   SOF_TIMESTAMPING_TX_ACK | BY_ID | flags[i]);
		set_option(pair.fd, IPPROTO_TCP, TCP_NODELAY, 1);
		send_pattern(pair.fd, 1300, 10);
		expect_report(pair.fd, SCM_TSTAMP_ACK, ids[i], &report);
		expect_no_report(pair.fd);
	}
}

static ssize_t send_with(int fd, int type, unsigned int value)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(value))];
	} control = { 0 };
	struct iovec iov = { "0123456789", 10 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(sizeof(value)),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = type;
	control.header.cmsg_len = CMSG_LEN(sizeof(value));
	memcpy(CMSG_DATA(&control.header), &value, sizeof(value));
	return sendmsg(fd, &message, 0);
}

static void for_one_call(void)
{
	struct pair pair = make_pair();
	struct report report;
	char bytes[40];

	set_option(pair.fd, SOL_SOCKET, SO_TIMESTAMPING, BY_ID);
	EQ(send(pair.fd, "0123456789", 10, 0), 10);
	EQ(send_with(pair.fd, SO_TIMESTAMPING, SOF_TIMESTAMPING_TX_ACK), 10);
	EQ(send(pair.fd, "0123456789", 10, 0), 10);
	FAILS(send_with(pair.fd, SO_TIMESTAMPING, SOF_TIMESTAMPING_SOFTWARE),
	      EINVAL);
	/* SCM_TS_OPT_ID */
	FAILS(send_with(pair.fd, 81, 7), EINVAL);
	recv_all(pair.peer, bytes, 30);
	expect_report(pair.fd, SCM_TSTAMP_ACK, 19, &report);
	sleep_ms(20);
	expect_no_report(pair.fd);
}

/* Unless that is unwanted, a report shows what it is about. */
static void with_the_packet(void)
{
	struct pair pair = make_pair();
	struct report report;

	set_option(pair.fd, SOL_SOCKET, SO_TIMESTAMPING,
		   (WAY | BY_ID) & ~SOF_TIMESTAMPING_OPT_TSONLY);
	send_pattern(pair.fd, 0, 100);
	expect_report(pair.fd, SCM_TSTAMP_SCHED, 99, &report);
	CHECK(report.length >= 140);
	pattern_check(report.bytes + report.length - 100, 0, 100);
	expect_report(pair.fd, SCM_TSTAMP_SND, 99, &report);
	CHECK(report.length >= 140);
	pattern_check(report.bytes + report.length - 100, 0, 100);
	expect_report(pair.fd, SCM_TSTAMP_ACK, 99, &report);
	EQ(report.length, 100);
	pattern_check(report.bytes, 0, 100);
}

struct bulk {
	int fd;
	size_t length;
};

static void drain(void *argument)
{
	const struct bulk *bulk = argument;

	recv_pattern(bulk->fd, 0, bulk->length);
}

/* The last byte of a call stands for all of them, whatever becomes of it. */
static void of_much_over_a_bad_path(void)
{
	struct link link = make_link("delay 5ms loss 3%");
	struct pair pair = make_pair_over(&link);
	static char bytes[500000];
	struct bulk bulk = { pair.peer, sizeof(bytes) };
	struct report report;
	pid_t reader;

	set_option(pair.fd, SOL_SOCKET, SO_TIMESTAMPING,
		   SOF_TIMESTAMPING_TX_ACK | BY_ID);
	pattern_fill(bytes, 0, sizeof(bytes));
	reader = start(drain, &bulk);
	EQ(send(pair.fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	finish(reader);
	expect_report(pair.fd, SCM_TSTAMP_ACK, sizeof(bytes) - 1, &report);
	expect_no_report(pair.fd);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(of_received_data),
		CASE(of_the_last_byte),
		CASE(of_so_timestamping),
		CASE(of_the_ioctl),
		CASE(inherited),
		CASE(of_sent_data),
		CASE(refused),
		CASE(numbered_from_here),
		CASE(for_one_call),
		CASE(with_the_packet),
		CASE(of_much_over_a_bad_path),
	};

	return RUN_CASES(cases);
}
