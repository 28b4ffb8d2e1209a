// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of ioctl that do not ask about the stream: those that every socket
 * answers, whatever its state. (Those about the stream are among the calls of
 * states.c.)
 */
#define _GNU_SOURCE
#include "states.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

static struct ifreq about(const char *name)
{
	struct ifreq request = { 0 };

	strcpy(request.ifr_name, name);
	return request;
}

static void check_devices(int fd)
{
	struct ifreq request = about("lo");
	struct ifreq list[16];
	struct ifconf all = { .ifc_len = sizeof(list), .ifc_req = list };
	struct in_addr address;
	int found = 0;

	OK(ioctl(fd, SIOCGIFINDEX, &request));
	EQ(request.ifr_ifindex, 1);
	OK(ioctl(fd, SIOCGIFNAME, &request));
	EQ(strcmp(request.ifr_name, "lo"), 0);
	OK(ioctl(fd, SIOCGIFFLAGS, &request));
	CHECK(request.ifr_flags & IFF_LOOPBACK);
	OK(ioctl(fd, SIOCGIFMTU, &request));
	BETWEEN(request.ifr_mtu, 1500, 65536);
	OK(ioctl(fd, SIOCGIFHWADDR, &request));
	EQ(request.ifr_hwaddr.sa_family, ARPHRD_LOOPBACK);
	OK(ioctl(fd, SIOCGIFCONF, &all));
	for (size_t i = 0; i < all.ifc_len / sizeof(*list); i++)
		found += strcmp(list[i].ifr_name, "lo") == 0;
	CHECK(found > 0);
	if (v6())
		return;
	request = about("lo");
	request.ifr_addr.sa_family = AF_INET;
	OK(ioctl(fd, SIOCGIFADDR, &request));
	address = ((struct sockaddr_in *)&request.ifr_addr)->sin_addr;
	EQ(ntohl(address.s_addr), INADDR_LOOPBACK);
	request.ifr_addr.sa_family = AF_INET;
	OK(ioctl(fd, SIOCGIFNETMASK, &request));
	address = ((struct sockaddr_in *)&request.ifr_addr)->sin_addr;
	EQ(ntohl(address.s_addr), 0xff000000);
}

static void check_refused(int fd)
{
	struct timeval stamp;
	struct timespec fine;
	int value = 0;

	/* Nothing was received with a stamp. */
	FAILS(ioctl(fd, SIOCGSTAMP, &stamp), ENOENT);
	FAILS(ioctl(fd, SIOCGSTAMPNS, &fine), ENOENT);
	FAILS(ioctl(fd, 0x12345678, &value), ENOTTY);
	FAILS(ioctl(fd, SIOCINQ, (void *)8),
	      get_option(fd, SOL_SOCKET, SO_ACCEPTCONN) ? EINVAL : EFAULT);
	FAILS(ioctl(fd, FIONBIO, (void *)8), EFAULT);
	FAILS(ioctl(fd, FIOSETOWN, (void *)8), EFAULT);
}

static void check_flags(int fd)
{
	int on = 1, off = 0;

	OK(ioctl(fd, FIONBIO, &on));
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	OK(ioctl(fd, FIONBIO, &off));
	CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	OK(ioctl(fd, FIOASYNC, &on));
	CHECK(fcntl(fd, F_GETFL) & O_ASYNC);
	OK(ioctl(fd, FIOASYNC, &off));
	CHECK(!(fcntl(fd, F_GETFL) & O_ASYNC));
	OK(ioctl(fd, FIOCLEX));
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	OK(ioctl(fd, FIONCLEX));
	CHECK(!(fcntl(fd, F_GETFD) & FD_CLOEXEC));
}

static void check_owner(int fd)
{
	int value = -1;

	OK(ioctl(fd, FIOGETOWN, &value));
	EQ(value, 0);
	value = getpid();
	OK(ioctl(fd, FIOSETOWN, &value));
	EQ(fcntl(fd, F_GETOWN), getpid());
	value = -getpgrp();
	OK(ioctl(fd, SIOCSPGRP, &value));
	value = 0;
	OK(ioctl(fd, SIOCGPGRP, &value));
	EQ(value, -getpgrp());
	value = 0x3fffffff;
	FAILS(ioctl(fd, FIOSETOWN, &value), ESRCH);
}

static void every_state(void)
{
	for (size_t i = 0; i < state_count; i++) {
		struct scene scene;

		/* That one waits for a timer. */
		if (strcmp(states[i].name, "timed_out") == 0)
			continue;
		scene = make_scene(&states[i]);
		printf("# %s\n", states[i].name);
		check_devices(scene.fd);
		check_refused(scene.fd);
		check_flags(scene.fd);
		check_owner(scene.fd);
		end_scene(&scene);
	}
}

static void no_such_device(void)
{
	struct ifreq request = about("none");
	int fd = make_socket(0);

	FAILS(ioctl(fd, SIOCGIFINDEX, &request), ENODEV);
	FAILS(ioctl(fd, SIOCGIFFLAGS, &request), ENODEV);
}

/* A program may do with any socket what changes the network. */
static void changes_network(void)
{
	struct ifreq request = about("lo");
	struct rtentry route = { 0 };
	int fd = make_socket(0);

	own_netns();
	close(fd);
	fd = make_socket(0);
	OK(ioctl(fd, SIOCGIFFLAGS, &request));
	request.ifr_flags &= ~IFF_UP;
	OK(ioctl(fd, SIOCSIFFLAGS, &request));
	OK(ioctl(fd, SIOCGIFFLAGS, &request));
	CHECK(!(request.ifr_flags & IFF_UP));
	request.ifr_mtu = 2000;
	OK(ioctl(fd, SIOCSIFMTU, &request));
	OK(ioctl(fd, SIOCGIFMTU, &request));
	EQ(request.ifr_mtu, 2000);
	if (v6())
		return;
	route.rt_dst.sa_family = AF_INET;
	FAILS(ioctl(fd, SIOCDELRT, &route), ESRCH);
}

int main(void)
{
	static const struct test_case cases[] = {
		SLOW_CASE(every_state, 120), CASE(no_such_device),
		CASE(changes_network),
	};

	return RUN_CASES(cases);
}
