// SPDX-License-Identifier: GPL-2.0

#include <linux/mm.h>
#include <linux/net.h>
#include <linux/uio.h>

void oxtcp_helper_get_page(struct page *page)
{
	get_page(page);
}

void oxtcp_helper_put_page(struct page *page)
{
	put_page(page);
}

void *oxtcp_helper_page_address(const struct page *page)
{
	return page_address(page);
}

bool oxtcp_helper_sendpage_ok(struct page *page)
{
	return sendpage_ok(page);
}

size_t oxtcp_helper_iov_iter_count(const struct iov_iter *i)
{
	return iov_iter_count(i);
}

int oxtcp_helper_import_ubuf_dest(void __user *buf, size_t len,
				  struct iov_iter *i)
{
	return import_ubuf(ITER_DEST, buf, len, i);
}
