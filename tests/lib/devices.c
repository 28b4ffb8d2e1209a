// SPDX-License-Identifier: GPL-2.0
/*
 * Network devices, set up by messages to the kernel: programs for it take an
 * emulated guest a second each to start.
 */
#define _GNU_SOURCE
#include "devices.h"
#include "harness.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

struct request {
	struct nlmsghdr header;
	char bytes[1000];
};

/* Appends what begins where netlink aligns it, and tells where that is. */
static void *append(struct request *request, const void *bytes, size_t length)
{
	char *place = (char *)request + NLMSG_ALIGN(request->header.nlmsg_len);

	CHECK(place + length <= (char *)(request + 1));
	memcpy(place, bytes, length);
	request->header.nlmsg_len = place + length - (char *)request;
	return place;
}

static struct request request_of(int type, int flags, const void *bytes,
				 size_t length)
{
	struct request request = {
		.header = {
			.nlmsg_len = NLMSG_HDRLEN,
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags,
		},
	};

	append(&request, bytes, length);
	return request;
}

static struct rtattr *attribute(struct request *request, int type,
				const void *value, size_t length)
{
	struct rtattr head = { .rta_len = RTA_LENGTH(length), .rta_type = type };
	struct rtattr *made = append(request, &head, sizeof(head));

	append(request, value, length);
	return made;
}

/* What was appended since belongs to this attribute. */
static void end(struct request *request, struct rtattr *nest)
{
	nest->rta_len = (char *)request + request->header.nlmsg_len - (char *)nest;
}

static void make_request(const struct request *request)
{
	int fd = OK(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char request[sizeof(*request)];
	} answer;

	EQ(send(fd, request, request->header.nlmsg_len, 0),
	   request->header.nlmsg_len);
	CHECK(recv(fd, &answer, sizeof(answer), 0) >=
	      (ssize_t)NLMSG_LENGTH(sizeof(answer.error)));
	EQ(answer.header.nlmsg_type, NLMSG_ERROR);
	if (answer.error.error)
		FAIL("request %d: %s", request->header.nlmsg_type,
		     strerror(-answer.error.error));
	close(fd);
}

void make_veth(const char *near, int near_index, const char *far, int far_index,
	       int far_netns)
{
	struct ifinfomsg here = { .ifi_index = near_index };
	struct ifinfomsg there = { .ifi_index = far_index };
	struct request request = request_of(RTM_NEWLINK,
					    NLM_F_CREATE | NLM_F_EXCL,
					    &here, sizeof(here));
	struct rtattr *kind, *data, *peer;

	attribute(&request, IFLA_IFNAME, near, strlen(near) + 1);
	kind = attribute(&request, IFLA_LINKINFO, "", 0);
	attribute(&request, IFLA_INFO_KIND, "veth", 5);
	data = attribute(&request, IFLA_INFO_DATA, "", 0);
	peer = attribute(&request, VETH_INFO_PEER, &there, sizeof(there));
	attribute(&request, IFLA_IFNAME, far, strlen(far) + 1);
	attribute(&request, IFLA_NET_NS_FD, &far_netns, sizeof(far_netns));
	end(&request, peer);
	end(&request, data);
	end(&request, kind);
	make_request(&request);
}

void make_dummy(const char *name)
{
	struct ifinfomsg head = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct request request = request_of(RTM_NEWLINK,
					    NLM_F_CREATE | NLM_F_EXCL,
					    &head, sizeof(head));
	struct rtattr *kind;

	attribute(&request, IFLA_IFNAME, name, strlen(name) + 1);
	kind = attribute(&request, IFLA_LINKINFO, "", 0);
	attribute(&request, IFLA_INFO_KIND, "dummy", 6);
	end(&request, kind);
	make_request(&request);
}

void add_refusal(const char *host, int type)
{
	bool six = strchr(host, ':');
	struct rtmsg head = {
		.rtm_family = six ? AF_INET6 : AF_INET,
		.rtm_dst_len = six ? 128 : 32,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_type = type,
	};
	struct request request = request_of(RTM_NEWROUTE,
					    NLM_F_CREATE | NLM_F_EXCL,
					    &head, sizeof(head));
	char address[16];

	EQ(inet_pton(head.rtm_family, host, address), 1);
	attribute(&request, RTA_DST, address, six ? 16 : 4);
	make_request(&request);
}

void add_address(const char *device, const char *text, int prefix)
{
	bool six = strchr(text, ':');
	struct ifaddrmsg head = {
		.ifa_family = six ? AF_INET6 : AF_INET,
		.ifa_prefixlen = prefix,
		.ifa_flags = six ? IFA_F_NODAD : 0,
		.ifa_index = if_nametoindex(device),
	};
	struct request request = request_of(RTM_NEWADDR,
					    NLM_F_CREATE | NLM_F_REPLACE,
					    &head, sizeof(head));
	char address[16];

	EQ(inet_pton(head.ifa_family, text, address), 1);
	attribute(&request, IFA_LOCAL, address, six ? 16 : 4);
	attribute(&request, IFA_ADDRESS, address, six ? 16 : 4);
	make_request(&request);
}

void set_device_up(const char *device)
{
	struct ifinfomsg head = {
		.ifi_index = if_nametoindex(device),
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP,
	};
	struct request request = request_of(RTM_NEWLINK, 0, &head, sizeof(head));

	make_request(&request);
}

struct netem {
	struct tc_netem_qopt options;
	struct tc_netem_rate rate;
	int64_t delay;
};

/* Whether these words of tc's are among those that are known here. */
static bool read_netem(const char *words, struct netem *netem)
{
	char name[16], unit[16];
	double number;
	int length;

	*netem = (struct netem){ .options.limit = 1000 };
	while (sscanf(words, " %15s %lf%15[a-z%%]%n", name, &number, unit,
		      &length) == 3) {
		words += length;
		if (!strcmp(name, "delay") && !strcmp(unit, "ms"))
			netem->delay = number * 1000000;
		else if (!strcmp(name, "loss") && !strcmp(unit, "%"))
			netem->options.loss = number / 100 * UINT32_MAX;
		else if (!strcmp(name, "rate") && !strcmp(unit, "mbit"))
			netem->rate.rate = number * 1000000 / 8;
		else
			return false;
	}
	return words[strspn(words, " ")] == 0;
}

void set_netem(const char *device, const char *words)
{
	struct tcmsg head = {
		.tcm_ifindex = if_nametoindex(device),
		.tcm_parent = TC_H_ROOT,
	};
	struct request request = request_of(RTM_NEWQDISC,
					    NLM_F_CREATE | NLM_F_REPLACE,
					    &head, sizeof(head));
	struct rtattr *options;
	struct netem netem;

	if (!read_netem(words, &netem)) {
		shell("tc qdisc replace dev %s root netem %s", device, words);
		return;
	}
	attribute(&request, TCA_KIND, "netem", 6);
	options = attribute(&request, TCA_OPTIONS, &netem.options,
			    sizeof(netem.options));
	attribute(&request, TCA_NETEM_LATENCY64, &netem.delay,
		  sizeof(netem.delay));
	if (netem.rate.rate)
		attribute(&request, TCA_NETEM_RATE, &netem.rate,
			  sizeof(netem.rate));
	end(&request, options);
	make_request(&request);
}
