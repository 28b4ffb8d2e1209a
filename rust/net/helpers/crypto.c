// SPDX-License-Identifier: GPL-2.0

#include <crypto/utils.h>
#include <linux/fips.h>

int oxtcp_helper_crypto_memneq(const void *a, const void *b, size_t size)
{
	return crypto_memneq(a, b, size);
}

bool oxtcp_helper_fips_enabled(void)
{
	return fips_enabled;
}
