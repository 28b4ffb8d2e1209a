// SPDX-License-Identifier: GPL-2.0

#include <linux/mm.h>

int oxtcp_helper_PageCompound(const struct page *page)
{
	return PageCompound(page);
}

struct address_space *oxtcp_helper_page_mapping(const struct page *page)
{
	return page->mapping;
}
