// SPDX-License-Identifier: GPL-2.0
/* Socket options, and what TCP_INFO tells. */
#define _GNU_SOURCE
#include "harness.h"

#include <linux/filter.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>

#ifndef TCP_IS_MPTCP
#define TCP_IS_MPTCP	43
#endif
#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS	44
#define TCP_RTO_MIN_US	45
#endif

static void what_it_is(void)
{
	union address address;
	int fd = make_socket(0);

	EQ(get_option(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	EQ(get_option(fd, SOL_SOCKET, SO_DOMAIN), v6() ? AF_INET6 : AF_INET);
	EQ(get_option(fd, IPPROTO_TCP, TCP_IS_MPTCP), 0);
	CHECK(get_option(fd, SOL_SOCKET, SO_BPF_EXTENSIONS) > 0);
	EQ(get_option(fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
	EQ(get_option(fd, SOL_SOCKET, SO_ERROR), 0);
	EQ(get_option(listener(1, &address), SOL_SOCKET, SO_ACCEPTCONN), 1);
}

static unsigned long long cookie(int fd, int name)
{
	unsigned long long value = 0;
	socklen_t length = sizeof(value);

	OK(getsockopt(fd, SOL_SOCKET, name, &value, &length));
	EQ(length, sizeof(value));
	return value;
}

/* Numbers by which monitors know sockets and namespaces. */
static void cookies(void)
{
	int fds[2] = { make_socket(0), make_socket(0) };
	int other;

	CHECK(cookie(fds[0], SO_COOKIE) != 0);
	EQ(cookie(fds[0], SO_COOKIE), cookie(fds[0], SO_COOKIE));
	CHECK(cookie(fds[0], SO_COOKIE) != cookie(fds[1], SO_COOKIE));
	EQ(cookie(fds[0], SO_NETNS_COOKIE), cookie(fds[1], SO_NETNS_COOKIE));
	if (getuid() != 0)
		return;
	own_netns();
	other = make_socket(0);
	CHECK(cookie(fds[0], SO_NETNS_COOKIE) != cookie(other, SO_NETNS_COOKIE));
}

/* What SO_MEMINFO tells of a socket that has something to read and to send. */
static void memory_info(void)
{
	/* RMEM_ALLOC, RCVBUF, WMEM_ALLOC, SNDBUF, FWD_ALLOC, WMEM_QUEUED */
	unsigned int info[9];
	socklen_t length = sizeof(info);
	struct pair pair = make_pair();

	send_pattern(pair.peer, 0, 5000);
	CHECK(poll_for(pair.fd, POLLIN, 2000));
	OK(getsockopt(pair.fd, SOL_SOCKET, SO_MEMINFO, info, &length));
	EQ(length, sizeof(info));
	BETWEEN(info[0], 5000, 20000);
	EQ((int)info[1], get_option(pair.fd, SOL_SOCKET, SO_RCVBUF));
	EQ((int)info[3], get_option(pair.fd, SOL_SOCKET, SO_SNDBUF));
	EQ(info[5], 0);
	recv_pattern(pair.fd, 0, 5000);
	OK(getsockopt(pair.fd, SOL_SOCKET, SO_MEMINFO, info, &length));
	EQ(info[0], 0);
	fill(pair.fd);
	OK(getsockopt(pair.fd, SOL_SOCKET, SO_MEMINFO, info, &length));
	CHECK(info[5] >= info[3] / 2);
}

static void only_read(void)
{
	int one = 1;
	int fd = make_socket(0);

	FAILS(setsockopt(fd, SOL_SOCKET, SO_TYPE, &one, sizeof(one)),
	      ENOPROTOOPT);
	FAILS(setsockopt(fd, SOL_SOCKET, SO_ERROR, &one, sizeof(one)),
	      ENOPROTOOPT);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_INFO, &one, sizeof(one)),
	      ENOPROTOOPT);
}

/* The kernel doubles what is asked, within limits. */
static void buffer_sizes(void)
{
	static const int names[] = { SO_SNDBUF, SO_RCVBUF };
	int fd = make_socket(0);

	for (int i = 0; i < 2; i++) {
		int before = get_option(fd, SOL_SOCKET, names[i]);
		int least, most;

		CHECK(before >= 16384);
		set_option(fd, SOL_SOCKET, names[i], 10000);
		EQ(get_option(fd, SOL_SOCKET, names[i]), 20000);
		set_option(fd, SOL_SOCKET, names[i], 50000);
		EQ(get_option(fd, SOL_SOCKET, names[i]), 100000);
		set_option(fd, SOL_SOCKET, names[i], 0);
		least = get_option(fd, SOL_SOCKET, names[i]);
		BETWEEN(least, 1024, 8192);
		set_option(fd, SOL_SOCKET, names[i], 1 << 30);
		most = get_option(fd, SOL_SOCKET, names[i]);
		BETWEEN(most, 100000, 1 << 30);
	}
}

static int number_in(const char *path, int field)
{
	FILE *file = fopen(path, "r");
	int numbers[3];

	CHECK(file);
	EQ(fscanf(file, "%d %d %d", &numbers[0], &numbers[1], &numbers[2]), 3);
	fclose(file);
	return numbers[field];
}

static void default_buffer_sizes(void)
{
	int fd = make_socket(0);

	EQ(get_option(fd, SOL_SOCKET, SO_SNDBUF),
	   number_in("/proc/sys/net/ipv4/tcp_wmem", 1));
	EQ(get_option(fd, SOL_SOCKET, SO_RCVBUF),
	   number_in("/proc/sys/net/ipv4/tcp_rmem", 1));
}

static void no_delay(void)
{
	struct pair pair = make_pair();
	int fd = make_socket(0);

	EQ(get_option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	EQ(get_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 0);
	EQ(get_option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 77);
	EQ(get_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	set_option(pair.fd, IPPROTO_TCP, TCP_NODELAY, 1);
	EQ(get_option(pair.fd, IPPROTO_TCP, TCP_NODELAY), 1);
}

static void reuse_flag(void)
{
	int fd = make_socket(0);

	EQ(get_option(fd, SOL_SOCKET, SO_REUSEADDR), 0);
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 5);
	EQ(get_option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	EQ(get_option(fd, SOL_SOCKET, SO_REUSEADDR), 0);
}

static void keep_flag(void)
{
	int fd = make_socket(0);

	EQ(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	EQ(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
}

static void linger_value(void)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 7 };
	socklen_t length = sizeof(linger);
	int fd = make_socket(0);

	OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	memset(&linger, 0, sizeof(linger));
	OK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length));
	EQ(linger.l_onoff, 1);
	EQ(linger.l_linger, 7);
	FAILS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, 4), EINVAL);
}

static void unknown(void)
{
	int value = 1;
	socklen_t length = sizeof(value);
	int fd = make_socket(0);

	FAILS(setsockopt(fd, IPPROTO_TCP, 999, &value, sizeof(value)),
	      ENOPROTOOPT);
	FAILS(getsockopt(fd, IPPROTO_TCP, 999, &value, &length), ENOPROTOOPT);
	FAILS(setsockopt(fd, SOL_SOCKET, 999, &value, sizeof(value)),
	      ENOPROTOOPT);
	FAILS(getsockopt(fd, SOL_SOCKET, 999, &value, &length), ENOPROTOOPT);
	FAILS(setsockopt(fd, IPPROTO_IP, 999, &value, sizeof(value)),
	      ENOPROTOOPT);
	FAILS(getsockopt(fd, 12345, 1, &value, &length),
	      v6() ? ENOPROTOOPT : EOPNOTSUPP);
}

static void bad_lengths(void)
{
	int value = 1;
	socklen_t length;
	int fd = make_socket(0);

	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, 3), EINVAL);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, 0), EINVAL);
	FAILS(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, 3), EINVAL);
	FAILS(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, -1), EINVAL);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, (void *)8, 4), EFAULT);
	FAILS(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, (void *)8, 4), EFAULT);
	length = -1;
	FAILS(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length),
	      EINVAL);
	length = 4;
	FAILS(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, (void *)8, &length),
	      EFAULT);

	/* Less room than the value has: the first bytes come. */
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	value = -1;
	length = 1;
	OK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length));
	EQ(length, 1);
	EQ(value & 0xff, 1);
	length = 100;
	OK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length));
	EQ(length, sizeof(value));
}

/* A port whose last connection is in TIME_WAIT, kept by this end. */
static union address port_in_time_wait(void)
{
	union address address;
	int server = listener(1, &address);
	int client = make_socket_of(peer_family(), 0);
	int child;

	OK(connect_to(client, &address));
	child = accept_one(server);
	close(server);
	OK(shutdown(child, SHUT_WR));
	expect_end(client);
	close(client);
	expect_end(child);
	close(child);
	return address;
}

static void reuse_in_time_wait(void)
{
	union address address = port_in_time_wait();
	int fd = make_socket(0);

	FAILS(bind_to(fd, &address), EADDRINUSE);
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	FAILS(bind_to(fd, &address), EADDRINUSE);
}

/* Who had set the option before may come back at once, as servers do. */
static void server_restarts(void)
{
	union address address = loopback(0);

	for (int round = 0; round < 3; round++) {
		int server = make_socket(0);
		int client = make_socket_of(peer_family(), 0);
		int child;

		set_option(server, SOL_SOCKET, SO_REUSEADDR, 1);
		OK(bind_to(server, &address));
		address = local_of(server);
		OK(listen(server, 1));
		OK(connect_to(client, &address));
		child = accept_one(server);
		close(server);
		OK(shutdown(child, SHUT_WR));
		expect_end(client);
		close(client);
		expect_end(child);
		close(child);
	}
}

static void restart_while_connected(void)
{
	union address address = loopback(0);
	int server = make_socket(0);
	int client = make_socket_of(peer_family(), 0);
	int child;

	set_option(server, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(server, &address));
	address = local_of(server);
	OK(listen(server, 1));
	OK(connect_to(client, &address));
	child = accept_one(server);
	close(server);
	server = make_socket(0);
	set_option(server, SOL_SOCKET, SO_REUSEADDR, 1);
	OK(bind_to(server, &address));
	OK(listen(server, 1));
	send_pattern(client, 0, 100);
	recv_pattern(child, 0, 100);
}

static void info(void)
{
	struct pair pair = make_pair();
	struct tcp_info info;
	socklen_t length = sizeof(info);

	memset(&info, 0xff, sizeof(info));
	send_pattern(pair.fd, 0, 10000);
	recv_pattern(pair.peer, 0, 10000);
	send_pattern(pair.peer, 0, 100);
	recv_pattern(pair.fd, 0, 100);
	sleep_ms(100);
	OK(getsockopt(pair.fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	CHECK(length >= offsetof(struct tcp_info, tcpi_pacing_rate));
	EQ(info.tcpi_state, STATE_ESTABLISHED);
	EQ(info.tcpi_ca_state, 0);
	EQ(info.tcpi_retransmits, 0);
	EQ(info.tcpi_probes, 0);
	EQ(info.tcpi_backoff, 0);
	CHECK(info.tcpi_options & TCPI_OPT_TIMESTAMPS);
	CHECK(info.tcpi_options & TCPI_OPT_SACK);
	CHECK(info.tcpi_options & TCPI_OPT_WSCALE);
	BETWEEN(info.tcpi_snd_wscale, 1, 14);
	BETWEEN(info.tcpi_rcv_wscale, 1, 14);
	BETWEEN(info.tcpi_rto, 200000, 400000);
	BETWEEN(info.tcpi_snd_mss, 536, 65535);
	BETWEEN(info.tcpi_rcv_mss, 1, 65535);
	EQ(info.tcpi_unacked, 0);
	EQ(info.tcpi_lost, 0);
	EQ(info.tcpi_retrans, 0);
	EQ(info.tcpi_total_retrans, 0);
	CHECK(info.tcpi_pmtu >= 576);
	BETWEEN(info.tcpi_rtt, 1, 200000);
	BETWEEN(info.tcpi_snd_cwnd, 2, 10000);
	EQ(info.tcpi_reordering, 3);
}

static void info_of_others(void)
{
	union address address;
	struct tcp_info info;
	socklen_t length = 8;
	int fd = make_socket(0);

	EQ(tcp_state(fd), STATE_CLOSE);
	fd = listener(7, &address);
	EQ(tcp_state(fd), STATE_LISTEN);
	memset(&info, 0xff, sizeof(info));
	OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	EQ(length, 8);
	EQ(info.tcpi_state, STATE_LISTEN);
	EQ(((unsigned char *)&info)[8], 0xff);
	/* On a listener: the length of the accept queue and its limit. */
	length = sizeof(info);
	OK(connect_to(make_socket_of(peer_family(), 0), &address));
	OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	EQ(info.tcpi_unacked, 1);
	EQ(info.tcpi_sacked, 7);
}

static void time_limits(void)
{
	struct timeval value = { .tv_sec = 3, .tv_usec = 500000 };
	socklen_t length = sizeof(value);
	int fd = make_socket(0);

	OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value)));
	memset(&value, 0, sizeof(value));
	OK(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, &length));
	EQ(value.tv_sec, 3);
	EQ(value.tv_usec, 500000);
	value.tv_usec = 1000000;
	FAILS(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value)),
	      EDOM);
}

static void fails_with(int fd, int name, int value)
{
	FAILS(setsockopt(fd, IPPROTO_TCP, name, &value, sizeof(value)), EINVAL);
}

static void bounds_of_time_outs(void)
{
	union address address;
	int fd = listener(1, &address);
	int one = make_socket(0), other;

	EQ(get_option(fd, IPPROTO_TCP, TCP_RTO_MAX_MS), 120000);
	EQ(get_option(fd, IPPROTO_TCP, TCP_RTO_MIN_US), 200000);
	fails_with(fd, TCP_RTO_MAX_MS, 999);
	fails_with(fd, TCP_RTO_MAX_MS, 120001);
	fails_with(fd, TCP_RTO_MAX_MS, -1);
	fails_with(fd, TCP_RTO_MIN_US, 200001);
	fails_with(fd, TCP_RTO_MIN_US, 1);
	fails_with(fd, TCP_RTO_MIN_US, 0);
	fails_with(fd, TCP_RTO_MIN_US, -1);
	EQ(get_option(fd, IPPROTO_TCP, TCP_RTO_MAX_MS), 120000);
	EQ(get_option(fd, IPPROTO_TCP, TCP_RTO_MIN_US), 200000);
	set_option(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, 120000);
	set_option(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, 1000);
	set_option(fd, IPPROTO_TCP, TCP_RTO_MIN_US, 100000);

	OK(connect(one, &address.any, sizeof(address)));
	other = OK(accept(fd, NULL, NULL));
	EQ(get_option(other, IPPROTO_TCP, TCP_RTO_MAX_MS), 1000);
	EQ(get_option(other, IPPROTO_TCP, TCP_RTO_MIN_US), 100000);
	EQ(get_option(one, IPPROTO_TCP, TCP_RTO_MAX_MS), 120000);
	EQ(get_option(one, IPPROTO_TCP, TCP_RTO_MIN_US), 200000);
}

static void ip_level(void)
{
	int fd = make_socket(0);

	EQ(get_option(fd, IPPROTO_IP, IP_TTL), 64);
	set_option(fd, IPPROTO_IP, IP_TTL, 33);
	EQ(get_option(fd, IPPROTO_IP, IP_TTL), 33);
	set_option(fd, IPPROTO_IP, IP_TOS, 0x10);
	EQ(get_option(fd, IPPROTO_IP, IP_TOS), 0x10);
}

static const struct sock_filter accept_all[] = {
	{ .code = 0x06, .k = 0xffffffff },
};

/* Whoever may not administrate the network may attach no filter to TCP. */
static void filter_privilege(void)
{
	struct sock_fprog filter = {
		.len = 1,
		.filter = (struct sock_filter *)accept_all,
	};
	union address address;
	int server = listener(1, &address);
	int fd = make_socket_of(peer_family(), 0);
	int child;

	OK(connect_to(fd, &address));
	child = accept_one(server);
	OK(setsockopt(child, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
		      sizeof(filter)));
	OK(setsockopt(child, SOL_SOCKET, SO_DETACH_FILTER, &filter, 4));
	OK(seteuid(65534));
	FAILS(setsockopt(child, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
			 sizeof(filter)), EPERM);
	FAILS(setsockopt(server, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
			 sizeof(filter)), EPERM);
	FAILS(setsockopt(child, SOL_SOCKET, SO_ATTACH_FILTER, &filter, 3),
	      EINVAL);
}

/* What the kernel keeps for TCP, on sockets of all origins. */
static void kept_for_tcp(void)
{
	struct pair pair = make_pair();
	int one = 1, two = 2, minus_two = -2, minus = -1;
	int fds[] = { make_socket(0), pair.fd, pair.peer };

	for (int i = 0; i < 3; i++) {
		OK(setsockopt(fds[i], SOL_SOCKET, SO_TXREHASH, &one, 4));
		OK(setsockopt(fds[i], SOL_SOCKET, SO_TXREHASH, &minus, 4));
		FAILS(setsockopt(fds[i], SOL_SOCKET, SO_TXREHASH, &two, 4),
		      EINVAL);
		FAILS(setsockopt(fds[i], SOL_SOCKET, SO_TXREHASH, &minus_two,
				 4), EINVAL);
		FAILS(setsockopt(fds[i], SOL_SOCKET, SO_RESERVE_MEM, &minus, 4),
		      EINVAL);
		FAILS(setsockopt(fds[i], SOL_SOCKET, SO_RESERVE_MEM, &one, 3),
		      EINVAL);
	}
}

/* The headers of the SYN: where it came from, and once only. */
static void saved_syn(void)
{
	for (int how = 1; how <= 2; how++) {
		union address address;
		int server = listener(1, &address);
		int client = make_socket_of(peer_family(), 0);
		int ip = v6() ? 40 : 20;
		int link = how == 2 ? 14 : 0;
		unsigned char headers[256];
		socklen_t length = 8;
		union address from;
		int child;

		set_option(server, IPPROTO_TCP, TCP_SAVE_SYN, how);
		OK(connect_to(client, &address));
		child = accept_one(server);
		from = local_of(client);
		/* No room: the length that it takes, and nothing is lost. */
		FAILS(getsockopt(child, IPPROTO_TCP, TCP_SAVED_SYN, headers,
				 &length), EINVAL);
		CHECK(length >= (socklen_t)(link + ip + 20));
		length = sizeof(headers);
		OK(getsockopt(child, IPPROTO_TCP, TCP_SAVED_SYN, headers,
			      &length));
		EQ(headers[link] >> 4, v6() ? 6 : 4);
		EQ(headers[link + ip] << 8 | headers[link + ip + 1],
		   port_of(from));
		EQ(headers[link + ip + 13], 0x02);
		EQ(length, link + ip + (headers[link + ip + 12] >> 4) * 4);
		if (how == 2)
			EQ(headers[12] << 8 | headers[13],
			   v6() ? 0x86dd : 0x0800);
		length = sizeof(headers);
		OK(getsockopt(child, IPPROTO_TCP, TCP_SAVED_SYN, headers,
			      &length));
		EQ(length, 0);
		length = sizeof(headers);
		OK(getsockopt(client, IPPROTO_TCP, TCP_SAVED_SYN, headers,
			      &length));
		EQ(length, 0);
		close(child);
		close(client);
		close(server);
	}
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	return info;
}

/* A bound that comes while the SYN is on its way changes no scale in it. */
static void clamp_while_connecting(void)
{
	struct link link = make_link("delay 50ms");
	union address address = far_address(0);
	int server, fd, child;

	enter_netns(link.far);
	server = make_socket_of(peer_family(), 0);
	OK(bind_to(server, &address));
	OK(listen(server, 1));
	address = local_of(server);
	enter_netns(link.near);
	fd = make_socket(SOCK_NONBLOCK);
	FAILS(connect_to(fd, &address), EINPROGRESS);
	set_option(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, 3000);
	EQ(get_option(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP), 3000);
	set_nonblocking(fd, false);
	child = accept_one(server);
	EQ(info_of(fd).tcpi_rcv_wscale, info_of(child).tcpi_snd_wscale);
	CHECK(info_of(fd).tcpi_rcv_wscale > 0);
	send_pattern(child, 0, 20000);
	recv_pattern(fd, 0, 20000);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(what_it_is),	CASE(only_read),
		CASE(cookies),		CASE(memory_info),
		CASE(buffer_sizes),	CASE(default_buffer_sizes),
		CASE(no_delay),		CASE(reuse_flag),
		CASE(keep_flag),	CASE(linger_value),
		CASE(unknown),		CASE(bad_lengths),
		CASE(reuse_in_time_wait), CASE(server_restarts),
		CASE(restart_while_connected), CASE(info),
		CASE(info_of_others),	CASE(time_limits),
		CASE(bounds_of_time_outs), CASE(ip_level),
		CASE(filter_privilege),
		CASE(saved_syn),	CASE(clamp_while_connecting),
		CASE(kept_for_tcp),
	};

	return RUN_CASES(cases);
}
