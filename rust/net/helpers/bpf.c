// SPDX-License-Identifier: GPL-2.0

#include <linux/bpf-cgroup.h>

int oxtcp_helper_BPF_CGROUP_RUN_PROG_INET_SOCK(struct sock *sk)
{
	return BPF_CGROUP_RUN_PROG_INET_SOCK(sk);
}

int oxtcp_helper_BPF_CGROUP_RUN_PROG_INET4_CONNECT(struct sock *sk,
						   struct sockaddr_unsized *uaddr,
						   int *uaddrlen)
{
	return BPF_CGROUP_RUN_PROG_INET4_CONNECT(sk, uaddr, uaddrlen);
}
