// SPDX-License-Identifier: GPL-2.0

#include <linux/rhashtable.h>

/*
 * The parameters are those that the table was initialised with; the inline
 * functions take them from there too where they are not constants.
 */
void *oxtcp_helper_rhashtable_lookup(struct rhashtable *ht, const void *key)
{
	return rhashtable_lookup(ht, key, ht->p);
}

int oxtcp_helper_rhashtable_lookup_insert_fast(struct rhashtable *ht,
					       struct rhash_head *obj)
{
	return rhashtable_lookup_insert_fast(ht, obj, ht->p);
}

int oxtcp_helper_rhashtable_remove_fast(struct rhashtable *ht,
					struct rhash_head *obj)
{
	return rhashtable_remove_fast(ht, obj, ht->p);
}

int oxtcp_helper_rhashtable_replace_fast(struct rhashtable *ht,
					 struct rhash_head *obj_old,
					 struct rhash_head *obj_new)
{
	return rhashtable_replace_fast(ht, obj_old, obj_new, ht->p);
}
