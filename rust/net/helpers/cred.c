// SPDX-License-Identifier: GPL-2.0

#include <linux/cred.h>

const struct cred *oxtcp_helper_override_creds(const struct cred *override_cred)
{
	return override_creds(override_cred);
}

const struct cred *oxtcp_helper_revert_creds(const struct cred *revert_cred)
{
	return revert_creds(revert_cred);
}
