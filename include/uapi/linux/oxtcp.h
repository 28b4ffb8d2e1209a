/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The protocol family of the oxtcp module: stream sockets that speak TCP.
 *
 * int fd = socket(AF_OXTCP, SOCK_STREAM, OXTCPPROTO_IP);
 *
 * Addresses are those of the IP version: struct sockaddr_in (with sin_family
 * AF_INET) for OXTCPPROTO_IP and IPPROTO_TCP, struct sockaddr_in6 (with
 * sin6_family AF_INET6) for OXTCPPROTO_IPV6.
 */
#ifndef _UAPI_LINUX_OXTCP_H
#define _UAPI_LINUX_OXTCP_H

#ifndef AF_OXTCP
#define AF_OXTCP	18
#endif
#ifndef PF_OXTCP
#define PF_OXTCP	AF_OXTCP
#endif

#define OXTCPPROTO_IP	0	/* IPv4; IPPROTO_TCP means the same */
#define OXTCPPROTO_IPV6	1	/* IPv6, and IPv4 by mapped addresses */

/* What SO_PROTOCOL reads on any socket of the family; socket() does not take it. */
#define IPPROTO_OXTCP	0x0206

#endif /* _UAPI_LINUX_OXTCP_H */
