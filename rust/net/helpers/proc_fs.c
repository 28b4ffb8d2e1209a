// SPDX-License-Identifier: GPL-2.0

#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>
#include <net/net_namespace.h>
#include <net/sock.h>

struct proc_dir_entry *oxtcp_helper_net_proc_dir(const struct net *net)
{
	return net->proc_net;
}

struct net *oxtcp_helper_seq_file_single_net(struct seq_file *seq)
{
	return seq_file_single_net(seq);
}

bool oxtcp_helper_seq_has_overflowed(struct seq_file *seq)
{
	return seq_has_overflowed(seq);
}

void oxtcp_helper_seq_setwidth(struct seq_file *seq, size_t size)
{
	seq_setwidth(seq, size);
}

uid_t oxtcp_helper_seq_sk_uid(struct seq_file *seq, const struct sock *sk)
{
	return from_kuid_munged(seq_user_ns(seq), sk_uid(sk));
}

u64 oxtcp_helper_sock_i_ino(const struct sock *sk)
{
	return sock_i_ino(sk);
}

int oxtcp_helper_sk_refcnt_read(const struct sock *sk)
{
	return refcount_read(&sk->sk_refcnt);
}
