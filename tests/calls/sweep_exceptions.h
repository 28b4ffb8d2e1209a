/* SPDX-License-Identifier: GPL-2.0 */
static const struct exception exceptions[] = {
	/* Times and counts; the test of TCP_INFO looks at them. */
	{ { IPPROTO_TCP, TCP_INFO }, VALUES },
	{ { IPPROTO_TCP, TCP_TIMESTAMP }, VALUES },
	/* Not supported: sockopt.c holds us to what the documentation says. */
	{ { IPPROTO_TCP, TCP_REPAIR }, SETS | VALUES },
	{ { IPPROTO_TCP, TCP_ULP }, SETS | GETS },
	{ { IPPROTO_TCP, TCP_TX_DELAY }, SETS | GETS },
	{ { IPPROTO_TCP, TCP_AO_ADD_KEY }, SETS },
	{ { IPPROTO_TCP, TCP_AO_DEL_KEY }, SETS },
	{ { IPPROTO_TCP, TCP_AO_INFO }, SETS | GETS },
	{ { IPPROTO_TCP, TCP_AO_GET_KEYS }, GETS },
	{ { IPPROTO_TCP, TCP_AO_REPAIR }, SETS | GETS },
	{ { SOL_SOCKET, SO_DEVMEM_DONTNEED }, SETS },
	{ { IPPROTO_IPV6, IPV6_ADDRFORM }, SETS | GETS },
	/* Refused to a listener without a group before anybody looks at the program. */
	{ { SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF }, SETS },
	{ { SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF }, SETS },
	/* Linux counts the packets of a SYN and a FIN, we the bytes. */
	{ { SOL_SOCKET, SO_MEMINFO }, VALUES },
	/* Another for each socket; IP_PROTOCOL reads the port. */
	{ { SOL_SOCKET, SO_COOKIE }, VALUES },
	{ { SOL_SOCKET, SO_PEERNAME }, VALUES },
	{ { IPPROTO_IP, IP_PROTOCOL }, VALUES },
	/* Not to be hidden: the number that keeps us apart from Linux's TCP. */
	{ { SOL_SOCKET, SO_PROTOCOL }, VALUES },
	/* The kernel tells only its own TCP. */
	{ { SOL_SOCKET, SO_TXREHASH }, GETS },
};
