// SPDX-License-Identifier: GPL-2.0

#include <linux/poll.h>
#include <net/busy_poll.h>
#include <net/proto_memory.h>
#include <net/rps.h>
#include <net/sock.h>

int oxtcp_helper_sk_incoming_cpu(const struct sock *sk)
{
	return READ_ONCE(sk->sk_incoming_cpu);
}

void oxtcp_helper_lock_sock(struct sock *sk)
{
	lock_sock(sk);
}

void oxtcp_helper_bh_lock_sock_nested(struct sock *sk)
{
	bh_lock_sock_nested(sk);
}

void oxtcp_helper_bh_unlock_sock(struct sock *sk)
{
	bh_unlock_sock(sk);
}

bool oxtcp_helper_sock_owned_by_user(const struct sock *sk)
{
	return sock_owned_by_user(sk);
}

int oxtcp_helper_sk_add_backlog(struct sock *sk, struct sk_buff *skb,
				unsigned int limit)
{
	return sk_add_backlog(sk, skb, limit);
}

void oxtcp_helper_sock_hold(struct sock *sk)
{
	sock_hold(sk);
}

void oxtcp_helper_sock_put(struct sock *sk)
{
	sock_put(sk);
}

bool oxtcp_helper_sk_route_is_loopback(struct sock *sk)
{
	const struct dst_entry *dst;
	bool loopback;

	rcu_read_lock();
	dst = __sk_dst_get(sk);
	loopback = dst && (dst_dev_rcu(dst)->flags & IFF_LOOPBACK);
	rcu_read_unlock();
	return loopback;
}

void oxtcp_helper_sock_orphan(struct sock *sk)
{
	sock_orphan(sk);
}

void oxtcp_helper_sock_set_flag(struct sock *sk, enum sock_flags flag)
{
	sock_set_flag(sk, flag);
}

void oxtcp_helper_sock_reset_flag(struct sock *sk, enum sock_flags flag)
{
	sock_reset_flag(sk, flag);
}

bool oxtcp_helper_sock_flag(const struct sock *sk, enum sock_flags flag)
{
	return sock_flag(sk, flag);
}

struct net *oxtcp_helper_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

struct wait_queue_head *oxtcp_helper_sk_sleep(struct sock *sk)
{
	return sk_sleep(sk);
}

int oxtcp_helper_sock_error(struct sock *sk)
{
	return sock_error(sk);
}

int oxtcp_helper_sock_intr_errno(long timeo)
{
	return sock_intr_errno(timeo);
}

long oxtcp_helper_sock_rcvtimeo(const struct sock *sk, bool noblock)
{
	return sock_rcvtimeo(sk, noblock);
}

long oxtcp_helper_sock_sndtimeo(const struct sock *sk, bool noblock)
{
	return sock_sndtimeo(sk, noblock);
}

int oxtcp_helper_sock_rcvlowat(const struct sock *sk, int waitall, int len)
{
	return sock_rcvlowat(sk, waitall, len);
}

struct page_frag *oxtcp_helper_sk_page_frag(struct sock *sk)
{
	return sk_page_frag(sk);
}

bool oxtcp_helper_sk_wmem_schedule(struct sock *sk, int size)
{
	return sk_wmem_schedule(sk, size);
}

bool oxtcp_helper_sk_rmem_schedule(struct sock *sk, const struct sk_buff *skb,
				   int size)
{
	return sk_rmem_schedule(sk, skb, size);
}

void oxtcp_helper_sk_mem_charge(struct sock *sk, int size)
{
	sk_mem_charge(sk, size);
}

void oxtcp_helper_sk_mem_uncharge(struct sock *sk, int size)
{
	sk_mem_uncharge(sk, size);
}

void oxtcp_helper_sk_wmem_queued_add(struct sock *sk, int val)
{
	sk_wmem_queued_add(sk, val);
}

void oxtcp_helper___dst_negative_advice(struct sock *sk)
{
	__dst_negative_advice(sk);
}

bool oxtcp_helper___sk_rethink_txhash_reset_dst(struct sock *sk)
{
	return __sk_rethink_txhash_reset_dst(sk);
}

void oxtcp_helper_sk_set_txrehash(struct sock *sk, u8 value)
{
	sk->sk_txrehash = value;
}

bool oxtcp_helper_sock_hold_not_zero(struct sock *sk)
{
	return refcount_inc_not_zero(&sk->sk_refcnt);
}

int oxtcp_helper_sk_wmem_alloc_get(const struct sock *sk)
{
	return sk_wmem_alloc_get(sk);
}

bool oxtcp_helper_sk_under_memory_pressure(const struct sock *sk)
{
	return sk_under_memory_pressure(sk);
}

int oxtcp_helper_sk_unused_reserved_mem(const struct sock *sk)
{
	return sk_unused_reserved_mem(sk);
}

long oxtcp_helper_sk_memory_allocated(const struct sock *sk)
{
	return sk_memory_allocated(sk);
}

long oxtcp_helper_sk_prot_mem_limits(const struct sock *sk, int index)
{
	return sk_prot_mem_limits(sk, index);
}

/* TCP's own is not exported. */
bool oxtcp_helper_tcp_out_of_memory(const struct sock *sk)
{
	return READ_ONCE(sk->sk_wmem_queued) > SOCK_MIN_SNDBUF &&
	       sk_memory_allocated(sk) > sk_prot_mem_limits(sk, 2);
}

void oxtcp_helper_sk_stream_moderate_sndbuf(struct sock *sk)
{
	sk_stream_moderate_sndbuf(sk);
}

void oxtcp_helper_skb_set_owner_r(struct sk_buff *skb, struct sock *sk)
{
	skb_set_owner_r(skb, sk);
}

void oxtcp_helper_sk_sockets_allocated_inc(struct sock *sk)
{
	sk_sockets_allocated_inc(sk);
}

void oxtcp_helper_sk_sockets_allocated_dec(struct sock *sk)
{
	sk_sockets_allocated_dec(sk);
}

void oxtcp_helper___sk_dst_reset(struct sock *sk)
{
	__sk_dst_reset(sk);
}

void oxtcp_helper_sk_dst_confirm(struct sock *sk)
{
	sk_dst_confirm(sk);
}

bool oxtcp_helper_sk_can_gso(const struct sock *sk)
{
	return sk_can_gso(sk);
}

void oxtcp_helper_sk_set_txhash(struct sock *sk)
{
	sk_set_txhash(sk);
}

void oxtcp_helper_sk_wake_async(const struct sock *sk, int how, int band)
{
	sk_wake_async(sk, how, band);
}

bool oxtcp_helper_skwq_has_sleeper(struct socket_wq *wq)
{
	return skwq_has_sleeper(wq);
}

struct socket_wq *oxtcp_helper_sk_wq_dereference(struct sock *sk)
{
	return rcu_dereference(sk->sk_wq);
}

void oxtcp_helper_sock_poll_wait(struct file *filp, struct socket *sock,
				 poll_table *p)
{
	sock_poll_wait(filp, sock, p);
}

bool oxtcp_helper___sk_stream_is_writeable(const struct sock *sk, int wake)
{
	return __sk_stream_is_writeable(sk, wake);
}

int oxtcp_helper_sk_rmem_alloc_get(const struct sock *sk)
{
	return sk_rmem_alloc_get(sk);
}

void oxtcp_helper_sk_set_async_nospace(struct sock *sk)
{
	sk_set_bit(SOCKWQ_ASYNC_NOSPACE, sk);
}

void oxtcp_helper_socket_set_nospace(struct socket *sock)
{
	set_bit(SOCK_NOSPACE, &sock->flags);
}

bool oxtcp_helper_socket_test_nospace(const struct socket *sock)
{
	return test_bit(SOCK_NOSPACE, &sock->flags);
}

void oxtcp_helper_socket_clear_nospace(struct socket *sock)
{
	clear_bit(SOCK_NOSPACE, &sock->flags);
}

int oxtcp_helper_copy_from_sockptr(void *dst, sockptr_t src, size_t size)
{
	return copy_from_sockptr(dst, src, size);
}

long oxtcp_helper_strncpy_from_sockptr(char *dst, sockptr_t src, size_t count)
{
	return strncpy_from_sockptr(dst, src, count);
}

struct timer_list *oxtcp_helper_sk_timer(struct sock *sk)
{
	return &sk->sk_timer;
}

struct sock *oxtcp_helper_sk_from_timer(struct timer_list *timer)
{
	return container_of(timer, struct sock, sk_timer);
}

void oxtcp_helper_sk_timer_setup(struct sock *sk,
				 void (*callback)(struct timer_list *timer))
{
	timer_setup(&sk->sk_timer, callback, 0);
}

void oxtcp_helper_sk_rmem_alloc_add(struct sock *sk, int delta)
{
	atomic_add(delta, &sk->sk_rmem_alloc);
}

bool oxtcp_helper_mem_cgroup_sk_enabled(const struct sock *sk)
{
	return mem_cgroup_sk_enabled(sk);
}

int oxtcp_helper_sk_mem_pages(int amt)
{
	return sk_mem_pages(amt);
}

void oxtcp_helper_socket_set_custom_sockopt(struct socket *sock)
{
	set_bit(SOCK_CUSTOM_SOCKOPT, &sock->flags);
}

bool oxtcp_helper_sk_has_scatter_gather(const struct sock *sk)
{
	return sk->sk_route_caps & NETIF_F_SG;
}

int oxtcp_helper_sk_peek_offset(const struct sock *sk, int flags)
{
	return sk_peek_offset(sk, flags);
}

void oxtcp_helper_sk_peek_offset_fwd(struct sock *sk, int val)
{
	sk_peek_offset_fwd(sk, val);
}

void oxtcp_helper_socket_set_support_zc(struct socket *sock)
{
	set_bit(SOCK_SUPPORT_ZC, &sock->flags);
}

void oxtcp_helper_sock_valbool_flag(struct sock *sk, enum sock_flags flag,
				    int valbool)
{
	sock_valbool_flag(sk, flag, valbool);
}

void oxtcp_helper_sk_tskey_set(struct sock *sk, int value)
{
	atomic_set(&sk->sk_tskey, value);
}

int oxtcp_helper_sk_tskey(const struct sock *sk)
{
	return atomic_read(&sk->sk_tskey);
}

void oxtcp_helper_sk_incoming_cpu_update(struct sock *sk)
{
	sk_incoming_cpu_update(sk);
}

void oxtcp_helper_sock_rps_save_rxhash(struct sock *sk,
				       const struct sk_buff *skb)
{
	sock_rps_save_rxhash(sk, skb);
}

void oxtcp_helper_sk_mark_napi_id(struct sock *sk, const struct sk_buff *skb)
{
	sk_mark_napi_id(sk, skb);
}

bool oxtcp_helper_sk_can_busy_loop(struct sock *sk)
{
	return sk_can_busy_loop(sk);
}

void oxtcp_helper_sk_busy_loop(struct sock *sk, int nonblock)
{
	sk_busy_loop(sk, nonblock);
}

void oxtcp_helper_skb_confirm_dst_of(struct sk_buff *skb, const struct sock *sk)
{
	skb_set_dst_pending_confirm(skb, READ_ONCE(sk->sk_dst_pending_confirm));
}

void oxtcp_helper_sk_drops_skbadd(struct sock *sk, const struct sk_buff *skb)
{
	sk_drops_skbadd(sk, skb);
}

void oxtcp_helper_sk_drops_inc(struct sock *sk)
{
	sk_drops_inc(sk);
}

void oxtcp_helper_sk_gso_disable(struct sock *sk)
{
	sk_gso_disable(sk);
}

int oxtcp_helper_sk_optmem_max(const struct sock *sk)
{
	return READ_ONCE(sock_net(sk)->core.sysctl_optmem_max);
}

int oxtcp_helper_sk_omem_alloc(const struct sock *sk)
{
	return atomic_read(&sk->sk_omem_alloc);
}

void oxtcp_helper_sk_omem_add(struct sock *sk, int val)
{
	atomic_add(val, &sk->sk_omem_alloc);
}
