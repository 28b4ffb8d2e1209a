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

int main(void)
{
	static const struct test_case cases[] = {
		CASE(of_received_data),
		CASE(of_the_last_byte),
		CASE(of_so_timestamping),
		CASE(of_the_ioctl),
		CASE(inherited),
	};

	return RUN_CASES(cases);
}
