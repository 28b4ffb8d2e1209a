/* SPDX-License-Identifier: GPL-2.0 */
/* Network devices of the namespace that the process is in. */
#ifndef DEVICES_H
#define DEVICES_H

/* A pair of devices, of which the far one is in that namespace. */
void make_veth(const char *near, int near_index, const char *far, int far_index,
	       int far_netns);

/* One that swallows what is sent through it, and is up. */
void make_dummy(const char *name);

/* Unless it is there. */
void add_address(const char *device, const char *text, int prefix);

void set_device_up(const char *device);

/* A route of that type (RTN_), which goes nowhere. */
void add_refusal(const char *host, int type);

/* Delays and losses, by words that tc has for netem. */
void set_netem(const char *device, const char *words);

#endif
