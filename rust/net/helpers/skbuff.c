// SPDX-License-Identifier: GPL-2.0

#include <linux/errqueue.h>
#include <linux/skbuff.h>
#include <linux/skbuff_ref.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/tcp.h>
#include <net/xfrm.h>

struct sk_buff *oxtcp_helper_alloc_skb(unsigned int size, gfp_t priority)
{
	return alloc_skb(size, priority);
}

struct skb_shared_info *oxtcp_helper_skb_shinfo(const struct sk_buff *skb)
{
	return skb_shinfo(skb);
}

void oxtcp_helper_skb_reserve(struct sk_buff *skb, int len)
{
	skb_reserve(skb, len);
}

unsigned int oxtcp_helper_skb_headlen(const struct sk_buff *skb)
{
	return skb_headlen(skb);
}

void *oxtcp_helper___skb_pull(struct sk_buff *skb, unsigned int len)
{
	return __skb_pull(skb, len);
}

void *oxtcp_helper___skb_push(struct sk_buff *skb, unsigned int len)
{
	return __skb_push(skb, len);
}

void *oxtcp_helper___skb_put(struct sk_buff *skb, unsigned int len)
{
	return __skb_put(skb, len);
}

bool oxtcp_helper_pskb_may_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, len);
}

void *oxtcp_helper_skb_header_pointer(const struct sk_buff *skb, int offset,
				      int len, void *buffer)
{
	return skb_header_pointer(skb, offset, len, buffer);
}

void oxtcp_helper_skb_fill_page_desc(struct sk_buff *skb, int i,
				     struct page *page, int off, int size)
{
	skb_fill_page_desc(skb, i, page, off, size);
}

void oxtcp_helper_skb_len_add(struct sk_buff *skb, int delta)
{
	skb_len_add(skb, delta);
}

void oxtcp_helper___skb_queue_tail(struct sk_buff_head *list,
				   struct sk_buff *newsk)
{
	__skb_queue_tail(list, newsk);
}

void oxtcp_helper___skb_unlink(struct sk_buff *skb, struct sk_buff_head *list)
{
	__skb_unlink(skb, list);
}

void oxtcp_helper___skb_queue_purge(struct sk_buff_head *list)
{
	__skb_queue_purge(list);
}

struct sk_buff *oxtcp_helper_skb_peek(const struct sk_buff_head *list)
{
	return skb_peek(list);
}

struct sk_buff *oxtcp_helper_skb_peek_tail(const struct sk_buff_head *list)
{
	return skb_peek_tail(list);
}

int oxtcp_helper_skb_queue_empty(const struct sk_buff_head *list)
{
	return skb_queue_empty(list);
}

__sum16 oxtcp_helper_skb_checksum_init_v4(struct sk_buff *skb)
{
	return skb_checksum_init(skb, IPPROTO_TCP, inet_compute_pseudo);
}

__sum16 oxtcp_helper_skb_checksum_complete(struct sk_buff *skb)
{
	return skb_checksum_complete(skb);
}

int oxtcp_helper_skb_orphan_frags_rx(struct sk_buff *skb, gfp_t gfp_mask)
{
	return skb_orphan_frags_rx(skb, gfp_mask);
}

void oxtcp_helper_skb_clear_delivery_time(struct sk_buff *skb)
{
	skb_clear_delivery_time(skb);
}

int oxtcp_helper_skb_network_offset(const struct sk_buff *skb)
{
	return skb_network_offset(skb);
}

unsigned char *oxtcp_helper_skb_network_header(const struct sk_buff *skb)
{
	return skb_network_header(skb);
}

unsigned char *oxtcp_helper_skb_mac_header(const struct sk_buff *skb)
{
	return skb_mac_header(skb);
}

bool oxtcp_helper_skb_mac_header_was_set(const struct sk_buff *skb)
{
	return skb_mac_header_was_set(skb);
}

u32 oxtcp_helper_skb_network_header_len(const struct sk_buff *skb)
{
	return skb_network_header_len(skb);
}

void oxtcp_helper_skb_reset_transport_header(struct sk_buff *skb)
{
	skb_reset_transport_header(skb);
}

void oxtcp_helper_secpath_reset(struct sk_buff *skb)
{
	secpath_reset(skb);
}

int oxtcp_helper_xfrm4_policy_check(struct sock *sk, int dir,
				    struct sk_buff *skb)
{
	return xfrm4_policy_check(sk, dir, skb);
}

void oxtcp_helper_xfrm_sk_free_policy(struct sock *sk)
{
	xfrm_sk_free_policy(sk);
}

unsigned int oxtcp_helper_skb_pkt_type(const struct sk_buff *skb)
{
	return skb->pkt_type;
}

struct rb_node *oxtcp_helper_skb_rb_node(struct sk_buff *skb)
{
	return &skb->rbnode;
}

struct sk_buff *oxtcp_helper_rb_to_skb(struct rb_node *node)
{
	return rb_to_skb(node);
}

struct sk_buff *oxtcp_helper_skb_queue_next_or_null(struct sk_buff_head *list,
						    struct sk_buff *skb)
{
	return skb_queue_is_last(list, skb) ? NULL : skb_queue_next(list, skb);
}

int oxtcp_helper_skb_queue_empty_lockless(const struct sk_buff_head *list)
{
	return skb_queue_empty_lockless(list);
}

void oxtcp_helper_skb_mark_not_on_list(struct sk_buff *skb)
{
	skb_mark_not_on_list(skb);
}

void oxtcp_helper_skb_clear_dev(struct sk_buff *skb)
{
	skb->dev = NULL;
}

int oxtcp_helper_skb_overhead(const struct sk_buff *skb)
{
	return SKB_TRUESIZE(skb_end_offset(skb));
}

void oxtcp_helper___skb_queue_before(struct sk_buff_head *list,
				     struct sk_buff *next,
				     struct sk_buff *newsk)
{
	__skb_queue_before(list, next, newsk);
}

void oxtcp_helper___skb_queue_head_init(struct sk_buff_head *list)
{
	__skb_queue_head_init(list);
}

u32 oxtcp_helper_skb_mark(const struct sk_buff *skb)
{
	return skb->mark;
}

int oxtcp_helper_skb_iif(const struct sk_buff *skb)
{
	return skb->skb_iif;
}

void oxtcp_helper_skb_set_priority(struct sk_buff *skb, u32 priority)
{
	skb->priority = priority;
}

void oxtcp_helper_skb_set_mark(struct sk_buff *skb, u32 mark)
{
	skb->mark = mark;
}

void oxtcp_helper_skb_reset_network_header(struct sk_buff *skb)
{
	skb_reset_network_header(skb);
}

void oxtcp_helper_net_zcopy_get(struct ubuf_info *uarg)
{
	net_zcopy_get(uarg);
}

void oxtcp_helper_net_zcopy_put(struct ubuf_info *uarg)
{
	net_zcopy_put(uarg);
}

void oxtcp_helper_msg_zerocopy_copied(struct ubuf_info *uarg)
{
	uarg_to_msgzc(uarg)->zerocopy = 0;
}

void oxtcp_helper_skb_zcopy_set(struct sk_buff *skb, struct ubuf_info *uarg,
				bool *have_ref)
{
	skb_zcopy_set(skb, uarg, have_ref);
}

void oxtcp_helper_skb_zcopy_downgrade_managed(struct sk_buff *skb)
{
	skb_zcopy_downgrade_managed(skb);
}

struct page *oxtcp_helper_skb_frag_page(const skb_frag_t *frag)
{
	return skb_frag_page(frag);
}

unsigned int oxtcp_helper_skb_frag_off(const skb_frag_t *frag)
{
	return skb_frag_off(frag);
}

unsigned int oxtcp_helper_skb_frag_size(const skb_frag_t *frag)
{
	return skb_frag_size(frag);
}

void oxtcp_helper_skb_set_hash_l4(struct sk_buff *skb, u32 hash)
{
	skb_set_hash(skb, hash, PKT_HASH_TYPE_L4);
}

ktime_t oxtcp_helper_skb_get_ktime(const struct sk_buff *skb)
{
	return skb_get_ktime(skb);
}

void oxtcp_helper_skb_set_ktime(struct sk_buff *skb, ktime_t kt)
{
	skb->tstamp = kt;
}

ktime_t oxtcp_helper_skb_get_hwtstamp(struct sk_buff *skb)
{
	return skb_hwtstamps(skb)->hwtstamp;
}

void oxtcp_helper_skb_set_hwtstamp(struct sk_buff *skb, ktime_t hwtstamp)
{
	skb_hwtstamps(skb)->hwtstamp = hwtstamp;
}

void oxtcp_helper_tcp_skb_report_ack(struct sk_buff *skb)
{
	TCP_SKB_CB(skb)->txstamp_ack = TSTAMP_ACK_SK;
}

u8 oxtcp_helper_skb_error_origin(struct sk_buff *skb)
{
	return SKB_EXT_ERR(skb)->ee.ee_origin;
}

u32 *oxtcp_helper_skb_error_data(struct sk_buff *skb)
{
	return &SKB_EXT_ERR(skb)->ee.ee_data;
}

unsigned long oxtcp_helper_skb_queue_lock(struct sk_buff_head *list)
{
	unsigned long flags;

	spin_lock_irqsave(&list->lock, flags);
	return flags;
}

void oxtcp_helper_skb_queue_unlock(struct sk_buff_head *list,
				   unsigned long flags)
{
	spin_unlock_irqrestore(&list->lock, flags);
}

int oxtcp_helper_skb_transport_offset(const struct sk_buff *skb)
{
	return skb_transport_offset(skb);
}

void oxtcp_helper_skb_set_transport_header(struct sk_buff *skb, int offset)
{
	skb_set_transport_header(skb, offset);
}

bool oxtcp_helper_skb_frag_is_net_iov(const skb_frag_t *frag)
{
	return skb_frag_is_net_iov(frag);
}

bool oxtcp_helper_skb_frags_readable(const struct sk_buff *skb)
{
	return skb_frags_readable(skb);
}
