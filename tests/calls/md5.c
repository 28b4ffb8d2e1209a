// SPDX-License-Identifier: GPL-2.0
/* TCP_MD5SIG and TCP_MD5SIG_EXT: keys, whom they are for, and what they do. */
#define _GNU_SOURCE
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define KEY	"known to both"
#define OTHER	"known to one"
#define FLAGS	(TCP_MD5SIG_FLAG_PREFIX | TCP_MD5SIG_FLAG_IFINDEX)

#ifndef SO_MEMINFO
#define SO_MEMINFO	55
#endif

static struct tcp_md5sig key_for(const union address *peer, const char *key)
{
	struct tcp_md5sig request = { .tcpm_keylen = strlen(key) };

	memcpy(&request.tcpm_addr, peer, length_of(peer));
	memcpy(request.tcpm_key, key, strlen(key));
	return request;
}

static int set_key(int fd, const union address *peer, const char *key)
{
	struct tcp_md5sig request = key_for(peer, key);

	return setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &request,
			  sizeof(request));
}

static int set_extended(int fd, const union address *peer, const char *key,
			int flags, int prefix, int device)
{
	struct tcp_md5sig request = key_for(peer, key);

	request.tcpm_flags = flags;
	request.tcpm_prefixlen = prefix;
	request.tcpm_ifindex = device;
	return setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG_EXT, &request,
			  sizeof(request));
}

static int set_prefix(int fd, const union address *peer, const char *key,
		      int prefix)
{
	return set_extended(fd, peer, key, TCP_MD5SIG_FLAG_PREFIX, prefix, 0);
}

static int bits(void)
{
	return v6() ? 128 : 32;
}

/* Of this case's namespace, whoever counts. */
static long counter(const char *wanted)
{
	char names[8192], values[8192], path[64];
	char *name, *value, *names_at, *values_at;
	long sum = 0;
	FILE *file;

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/net/%snetstat",
			 i ? "oxtcp_" : "");
		file = fopen(path, "r");
		if (!file)
			continue;
		while (fgets(names, sizeof(names), file) &&
		       fgets(values, sizeof(values), file)) {
			name = strtok_r(names, " ", &names_at);
			value = strtok_r(values, " ", &values_at);
			for (; name && value;
			     name = strtok_r(NULL, " ", &names_at),
			     value = strtok_r(NULL, " ", &values_at)) {
				if (!strcmp(name, wanted))
					sum += atol(value);
			}
		}
		fclose(file);
	}
	return sum;
}

static void await_counter(const char *name, long least)
{
	for (int i = 0; i < 500 && counter(name) < least; i++)
		sleep_ms(10);
	if (counter(name) < least)
		FAIL("%s is %ld", name, counter(name));
}

/* A socket that begins to connect, with a key or without. */
static int calling(int af, const char *key, const union address *address)
{
	union address here = loopback(0);
	int fd = make_socket_of(af, SOCK_NONBLOCK);

	if (key)
		OK(set_key(fd, &here, key));
	FAILS(connect_to(fd, address), EINPROGRESS);
	return fd;
}

static struct pair keyed_pair(const char *key)
{
	union address here = loopback(0);
	int server = make_socket_of(role_passive() ? family() : peer_family(),
				    0);
	int client = make_socket_of(role_passive() ? peer_family() : family(),
				    0);

	OK(set_key(server, &here, key));
	OK(set_key(client, &here, key));
	return join_sockets(server, client, here);
}

static void bad_values(void)
{
	union address here = loopback(0), other = { 0 };
	struct tcp_md5sig request = key_for(&here, KEY);
	int names[] = { TCP_MD5SIG, TCP_MD5SIG_EXT };
	char larger[sizeof(request) + 8] = "";
	int fd = make_socket(0);

	for (int i = 0; i < 2; i++) {
		request = key_for(&here, KEY);
		FAILS(setsockopt(fd, IPPROTO_TCP, names[i], &request,
				 sizeof(request) - 1), EINVAL);
		FAILS(setsockopt(fd, IPPROTO_TCP, names[i], &request, 3),
		      EINVAL);
		FAILS(setsockopt(fd, IPPROTO_TCP, names[i], (void *)8,
				 sizeof(request)), EFAULT);
		FAILS(setsockopt(fd, IPPROTO_TCP, names[i], (void *)8, 4),
		      EFAULT);
		request.tcpm_keylen = TCP_MD5SIG_MAXKEYLEN + 1;
		FAILS(setsockopt(fd, IPPROTO_TCP, names[i], &request,
				 sizeof(request)), EINVAL);
		request.tcpm_keylen = 0;
		FAILS(setsockopt(fd, IPPROTO_TCP, names[i], &request,
				 sizeof(request)), ENOENT);
		request.tcpm_keylen = TCP_MD5SIG_MAXKEYLEN;
		memcpy(larger, &request, sizeof(request));
		OK(setsockopt(fd, IPPROTO_TCP, names[i], larger,
			      sizeof(larger)));
		/* Of the family of the socket. */
		other.any.sa_family = v6() ? AF_INET : AF_INET6;
		FAILS(set_key(fd, &other, KEY), EINVAL);
		other.any.sa_family = AF_UNSPEC;
		FAILS(set_key(fd, &other, KEY), EINVAL);
		OK(set_key(fd, &here, ""));
		FAILS(set_key(fd, &here, ""), ENOENT);
	}
}

static void cannot_be_read(void)
{
	struct tcp_md5sig request;
	socklen_t length = sizeof(request);
	int fd = make_socket(0);

	FAILS(getsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &request, &length),
	      ENOPROTOOPT);
	FAILS(getsockopt(fd, IPPROTO_TCP, TCP_MD5SIG_EXT, &request, &length),
	      ENOPROTOOPT);
}

static void prefixes(void)
{
	union address here = loopback(0);
	int fd = make_socket(0);

	FAILS(set_prefix(fd, &here, KEY, bits() + 1), EINVAL);
	FAILS(set_prefix(fd, &here, KEY, 255), EINVAL);
	OK(set_prefix(fd, &here, KEY, bits()));
	OK(set_prefix(fd, &here, KEY, 8));
	OK(set_prefix(fd, &here, KEY, 0));
	/* TCP_MD5SIG looks at no flag and means one address. */
	OK(set_key(fd, &here, ""));
	FAILS(set_prefix(fd, &here, "", bits()), ENOENT);
	/* The address is that with which it was set, in all bits. */
	here = foreign(1, 0);
	FAILS(set_prefix(fd, &here, "", 0), ENOENT);
	here = loopback(0);
	OK(set_prefix(fd, &here, "", 0));
	OK(set_prefix(fd, &here, "", 8));
	FAILS(set_prefix(fd, &here, "", 8), ENOENT);
}

/* An IPv4-mapped address has the bits of IPv4. */
static void prefixes_of_mapped(void)
{
	union address mapped = loopback(0);
	int fd = make_socket(0);

	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.v6.sin6_addr);
	FAILS(set_prefix(fd, &mapped, KEY, 33), EINVAL);
	OK(set_prefix(fd, &mapped, KEY, 32));
	OK(set_key(fd, &mapped, ""));
	OK(set_prefix(fd, &mapped, KEY, 0));
	OK(set_prefix(fd, &mapped, "", 0));
}

static void devices(void)
{
	union address here = loopback(0);
	int fd, router;

	own_netns();
	shell("ip link set lo up");
	fd = make_socket(0);
	FAILS(set_extended(fd, &here, KEY, FLAGS, 8, 1), EINVAL);
	FAILS(set_extended(fd, &here, KEY, FLAGS, 8, 4711), EINVAL);
	/* Without the flag the device is not looked at; 0 is none. */
	OK(set_extended(fd, &here, KEY, TCP_MD5SIG_FLAG_PREFIX, 8, 1));
	OK(set_extended(fd, &here, KEY, FLAGS, 8, 0));
	shell("ip link add red type vrf table 10");
	router = if_nametoindex("red");
	OK(set_extended(fd, &here, KEY, FLAGS, 8, router));
	/* Three keys. */
	OK(set_extended(fd, &here, "", FLAGS, 8, router));
	FAILS(set_extended(fd, &here, "", FLAGS, 8, router), ENOENT);
	OK(set_extended(fd, &here, "", FLAGS, 8, 0));
	OK(set_extended(fd, &here, "", TCP_MD5SIG_FLAG_PREFIX, 8, router));
	FAILS(set_prefix(fd, &here, "", 8), ENOENT);
}

/* Keys are memory of the socket's options, of which there is not all. */
static void memory(void)
{
	unsigned int info[SK_MEMINFO_VARS];
	socklen_t length = sizeof(info);
	union address peer;
	long most;
	int fd, keys, error = 0;
	FILE *file;

	own_netns();
	file = fopen("/proc/sys/net/core/optmem_max", "r");
	CHECK(file && fscanf(file, "%ld", &most) == 1);
	fclose(file);
	fd = make_socket(0);
	for (keys = 0; keys < 4000; keys++) {
		peer = foreign(1 + keys % 254, 0);
		if (set_prefix(fd, &peer, KEY, keys / 254)) {
			error = errno;
			break;
		}
	}
	EQ(error, ENOMEM);
	OK(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length));
	BETWEEN(info[SK_MEMINFO_OPTMEM], most * 9 / 10, most);
	EQ(info[SK_MEMINFO_OPTMEM] % keys, 0);
	/* One that is there takes no more. */
	peer = foreign(1, 0);
	OK(set_prefix(fd, &peer, OTHER, 0));
	OK(set_prefix(fd, &peer, "", 0));
	OK(set_prefix(fd, &peer, KEY, 0));
	FAILS(set_prefix(fd, &peer, KEY, bits()), ENOMEM);
	close(fd);
}

/* Large and both ways; urgent and zero-copied data is tested elsewhere. */
static void stream(void *fd)
{
	for (int i = 0; i < 32; i++)
		send_pattern(*(int *)fd, i * 65536ULL, 65536);
}

static void carries_data(const struct pair *pair)
{
	pid_t near = start(stream, (void *)&pair->fd);
	pid_t far = start(stream, (void *)&pair->peer);

	for (int i = 0; i < 32; i++)
		recv_pattern(pair->fd, i * 65536ULL, 65536);
	for (int i = 0; i < 32; i++)
		recv_pattern(pair->peer, i * 65536ULL, 65536);
	finish(near);
	finish(far);
}

static void transfer(void)
{
	struct pair pair;

	own_netns();
	shell("ip link set lo up");
	pair = keyed_pair(KEY);
	carries_data(&pair);
	EQ(counter("TCPMD5Failure"), 0);
	EQ(counter("TCPMD5NotFound"), 0);
	EQ(counter("TCPMD5Unexpected"), 0);
	OK(shutdown(pair.fd, SHUT_WR));
	expect_end(pair.peer);
	OK(shutdown(pair.peer, SHUT_WR));
	expect_end(pair.fd);
}

/* Over a way that loses segments, so that some are sent again. */
static void lossy(void)
{
	struct link link = make_link("loss 2% delay 1ms");
	union address far = far_address(0), near = near_address(0);
	struct pair pair;
	int peer, fd;

	enter_netns(link.far);
	peer = make_socket_of(peer_family(), 0);
	OK(set_key(peer, &near, KEY));
	enter_netns(link.near);
	fd = make_socket(0);
	OK(set_key(fd, &far, KEY));
	pair = role_passive() ? join_sockets(fd, peer, near) :
				join_sockets(peer, fd, far);
	carries_data(&pair);
	EQ(counter("TCPMD5Failure"), 0);
	EQ(counter("TCPMD5NotFound"), 0);
}

static void mapped_transfer(void)
{
	union address here = { .v4 = { .sin_family = AF_INET } };
	union address mapped = loopback(0), address;
	struct pair pair;
	int server, client;

	own_netns();
	shell("ip link set lo up");
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.v6.sin6_addr);
	server = make_socket(0);
	address = wildcard(0);
	OK(bind_to(server, &address));
	OK(listen(server, 1));
	OK(set_key(server, &mapped, KEY));
	set_port(&mapped, port_of(local_of(server)));
	client = make_socket_of(peer_family(), 0);
	OK(set_key(client, &mapped, KEY));
	OK(connect_to(client, &mapped));
	pair = (struct pair){ .fd = accept_one(server), .peer = client };
	carries_data(&pair);
	/* From a socket of IPv4. */
	inet_pton(AF_INET, "127.0.0.1", &here.v4.sin_addr);
	set_port(&here, port_of(mapped));
	client = make_socket_of(ours() ? AF_OXTCP : AF_INET, 0);
	OK(set_key(client, &here, KEY));
	OK(connect(client, &here.any, sizeof(here.v4)));
	pair = (struct pair){ .fd = accept_one(server), .peer = client };
	carries_data(&pair);
	EQ(counter("TCPMD5Failure"), 0);
}

/* Nobody hears of a SYN that is signed wrongly, not at all, or needlessly. */
static void refused(void)
{
	static const struct {
		const char *listener, *caller, *counter;
	} ways[] = {
		{ KEY, OTHER, "TCPMD5Failure" },
		{ KEY, NULL, "TCPMD5NotFound" },
		{ NULL, KEY, "TCPMD5Unexpected" },
	};
	union address here = loopback(0), address;
	int listening, fd;

	own_netns();
	shell("ip link set lo up");
	for (size_t i = 0; i < 3; i++) {
		listening = listener_of(role_passive() ? family() :
					peer_family(), 4, &address);
		if (ways[i].listener)
			OK(set_key(listening, &here, ways[i].listener));
		fd = calling(role_passive() ? peer_family() : family(),
			     ways[i].caller, &address);
		await_counter(ways[i].counter, 1);
		set_nonblocking(listening, true);
		FAILS(accept(listening, NULL, NULL), EAGAIN);
		EQ(poll_for(fd, POLLOUT, 100), 0);
		/* The right key brings it to an end, when it tries again. */
		OK(set_key(listening, &here,
			   ways[i].caller ? ways[i].caller : ""));
		CHECK(poll_for(fd, POLLOUT, 5000) & POLLOUT);
		EQ(take_error(fd), 0);
		close(fd);
		close(listening);
	}
}

/* Whoever is accepted has the key for its peer, whatever becomes of others. */
static void inherited(void)
{
	union address here = loopback(0), any = wildcard(0), address;
	int listening, client, fd;
	char text[3];

	own_netns();
	shell("ip link set lo up");
	listening = listener(4, &address);
	OK(set_prefix(listening, &any, OTHER, 0));
	OK(set_key(listening, &here, KEY));
	client = make_socket_of(peer_family(), 0);
	OK(set_key(client, &here, KEY));
	OK(connect_to(client, &address));
	fd = accept_one(listening);
	OK(set_key(listening, &here, ""));
	OK(set_prefix(listening, &any, "", 0));
	send_all(client, "one", 3);
	recv_all(fd, text, sizeof(text));
	FAILS(set_prefix(fd, &any, "", 0), ENOENT);
	/* Without the key it takes no signed segment any more. */
	OK(set_key(fd, &here, ""));
	FAILS(set_key(fd, &here, ""), ENOENT);
	send_all(client, "two", 3);
	await_counter("TCPMD5Unexpected", 1);
	EQ(poll_for(fd, POLLIN, 50), 0);
	OK(set_key(client, &here, ""));
	CHECK(poll_for(fd, POLLIN, 5000) & POLLIN);
}

/* A change of the key on both ends loses nothing. */
static void changed(void)
{
	union address here = loopback(0);
	struct pair pair;

	own_netns();
	shell("ip link set lo up");
	pair = keyed_pair(KEY);
	send_pattern(pair.fd, 0, 1000);
	recv_pattern(pair.peer, 0, 1000);
	OK(set_key(pair.fd, &here, OTHER));
	send_pattern(pair.fd, 1000, 1000);
	await_counter("TCPMD5Failure", 1);
	EQ(poll_for(pair.peer, POLLIN, 50), 0);
	OK(set_key(pair.peer, &here, OTHER));
	recv_pattern(pair.peer, 1000, 1000);
	send_pattern(pair.peer, 0, 1000);
	recv_pattern(pair.fd, 0, 1000);
	OK(set_key(pair.fd, &here, ""));
	OK(set_key(pair.peer, &here, ""));
	send_pattern(pair.peer, 1000, 1000);
	recv_pattern(pair.fd, 1000, 1000);
}

static void disconnected(void)
{
	union address here = loopback(0), address;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int listening = listener_of(peer_family(), 4, &address);
	int fd = make_socket(0);

	OK(set_key(listening, &here, KEY));
	OK(set_key(fd, &here, KEY));
	OK(connect_to(fd, &address));
	OK(connect(fd, &none, sizeof(none)));
	/* The keys stay. */
	OK(connect_to(fd, &address));
	OK(set_key(fd, &here, ""));
}

/* A virtual router has keys of its own, and the one without is for all. */
static void routers(void)
{
	struct link link = make_link(NULL);
	union address far = far_address(0), near = near_address(0), address;
	int server, client, router;
	struct pair pair;

	shell("ip link add red type vrf table 10 && ip link set red up && "
	      "ip link set near master red && "
	      "ip addr replace " NEAR6 "/64 dev near nodad");
	router = if_nametoindex("red");
	server = make_socket(0);
	OK(setsockopt(server, SOL_SOCKET, SO_BINDTODEVICE, "red", 4));
	OK(bind_to(server, &near));
	OK(listen(server, 4));
	address = local_of(server);
	OK(set_extended(server, &far, KEY, FLAGS, bits(), router));
	/* What is for no router is not for this one; without the flag it is. */
	OK(set_extended(server, &far, OTHER, FLAGS, bits(), 0));
	OK(set_prefix(server, &far, OTHER, 0));
	enter_netns(link.far);
	client = make_socket_of(peer_family(), 0);
	OK(set_key(client, &near, KEY));
	OK(connect_to(client, &address));
	pair = (struct pair){ .fd = accept_one(server), .peer = client };
	send_pattern(pair.fd, 0, 1000);
	recv_pattern(pair.peer, 0, 1000);
	OK(set_extended(server, &far, "", FLAGS, bits(), router));
	client = make_socket_of(peer_family(), 0);
	OK(set_key(client, &near, OTHER));
	OK(connect_to(client, &address));
	pair = (struct pair){ .fd = accept_one(server), .peer = client };
	send_pattern(pair.peer, 0, 1000);
	recv_pattern(pair.fd, 0, 1000);
	EQ(counter("TCPMD5Failure"), 0);
}

/* Segments are shorter, and each is sent as one. */
static void sizes(void)
{
	struct pair pair;
	int mss, plain;

	own_netns();
	shell("ip link set lo up mtu 1500");
	pair = keyed_pair(KEY);
	mss = get_option(pair.fd, IPPROTO_TCP, TCP_MAXSEG);
	EQ(mss, v6() ? 1440 : 1460);
	plain = make_pair().fd;
	/* Timestamps are not offered with a key. */
	EQ(get_option(plain, IPPROTO_TCP, TCP_MAXSEG), mss - 12);
	carries_data(&pair);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(bad_values),
		CASE(cannot_be_read),
		CASE(prefixes),
		CASE_V6(prefixes_of_mapped),
		CASE(devices),
		CASE(memory),
		CASE(transfer),
		CASE(lossy),
		CASE_V6(mapped_transfer),
		CASE(refused),
		CASE(inherited),
		CASE(changed),
		CASE(disconnected),
		CASE(routers),
		CASE(sizes),
	};

	return RUN_CASES(cases);
}
