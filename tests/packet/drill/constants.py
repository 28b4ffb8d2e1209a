# SPDX-License-Identifier: GPL-2.0
"""The names of numbers that scripts use."""

import errno
import fcntl
import os
import select
import socket

from internet import SOCKETS_V6

EXTRA = {
    "IPPROTO_TCP": 6, "SOL_IP": 0, "SOL_TCP": 6, "IP_MTU_DISCOVER": 10, "IP_PMTUDISC_DONT": 0, "IP_FREEBIND": 15,
    "IP_RECVERR": 11, "SOL_IPV6": 41, "IPV6_RECVERR": 25,
    "CMSG_LEVEL_IP": 41 if SOCKETS_V6 else 0, "CMSG_TYPE_RECVERR": 25 if SOCKETS_V6 else 11, "SO_MEMINFO": 55,
    "SO_TIMESTAMPING": 37, "SCM_TIMESTAMPING": 37, "SO_ZEROCOPY": 60, "TCP_FASTOPEN_CONNECT": 30,
    "TCP_FASTOPEN_KEY": 33, "TCP_RTO_MAX_MS": 44, "TCP_RTO_MIN_US": 45, "TCP_DELACK_MAX_US": 46,
    "TCP_INQ": 36, "TCP_CM_INQ": 36, "MSG_ZEROCOPY": 0x4000000, "MSG_FASTOPEN": 0x20000000,
    "SIOCINQ": 0x541b, "EPOLL_CTL_ADD": 1, "EPOLL_CTL_DEL": 2, "EPOLL_CTL_MOD": 3,
    "SO_EE_ORIGIN_TIMESTAMPING": 4, "SO_EE_ORIGIN_ZEROCOPY": 5, "SO_EE_CODE_ZEROCOPY_COPIED": 1,
    "SOF_TIMESTAMPING_TX_SOFTWARE": 1 << 1, "SOF_TIMESTAMPING_SOFTWARE": 1 << 4, "SOF_TIMESTAMPING_OPT_ID": 1 << 7,
    "SOF_TIMESTAMPING_TX_SCHED": 1 << 8, "SOF_TIMESTAMPING_TX_ACK": 1 << 9,
    "SCM_TSTAMP_SND": 0, "SCM_TSTAMP_SCHED": 1, "SCM_TSTAMP_ACK": 2,
    "NULL": None,
}

# What Python in scripts may name beside the fields of TCP_INFO.
FOR_CODE = {
    "TCP_CA_Open": 0, "TCP_CA_Disorder": 1, "TCP_CA_CWR": 2, "TCP_CA_Recovery": 3, "TCP_CA_Loss": 4,
    "TCPI_OPT_TIMESTAMPS": 1, "TCPI_OPT_SACK": 2, "TCPI_OPT_WSCALE": 4, "TCPI_OPT_ECN": 8, "TCPI_OPT_ECN_SEEN": 16,
    "TCPI_OPT_SYN_DATA": 32,
    **{f"TCP_{name}": number for number, name in enumerate(
        ("ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
         "LISTEN", "CLOSING"), 1)},
}

MEMINFO = ("SK_MEMINFO_RMEM_ALLOC", "SK_MEMINFO_RCVBUF", "SK_MEMINFO_WMEM_ALLOC", "SK_MEMINFO_SNDBUF",
           "SK_MEMINFO_FWD_ALLOC", "SK_MEMINFO_WMEM_QUEUED", "SK_MEMINFO_OPTMEM", "SK_MEMINFO_BACKLOG",
           "SK_MEMINFO_DROPS")

TCP_INFO = """B state ca_state retransmits probes backoff options wscales flags
I rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent last_data_recv last_ack_recv
I pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space total_retrans
Q pacing_rate max_pacing_rate bytes_acked bytes_received
I segs_out segs_in notsent_bytes min_rtt data_segs_in data_segs_out
Q delivery_rate busy_time rwnd_limited sndbuf_limited
I delivered delivered_ce
Q bytes_sent bytes_retrans
I dsack_dups reord_seen rcv_ooopack snd_wnd rcv_wnd rehash
H total_rto total_rto_recoveries
I total_rto_time received_ce delivered_e1_bytes delivered_e0_bytes delivered_ce_bytes received_e1_bytes
I received_e0_bytes received_ce_bytes ecn"""
INFO_FIELDS = [name for line in TCP_INFO.splitlines() for name in line.split()[1:]]
# Aligned as C does it.
INFO_FORMAT = "@" + "".join(line[0] * len(line.split()[1:]) for line in TCP_INFO.splitlines())


def number(value):
    """A number, given as such, by name, or by names with '|' between."""
    if not isinstance(value, str):
        return value
    if value == "NULL":
        return None
    total = 0
    for name in value.split("|"):
        name = name.strip()
        if name.isdigit():
            total |= int(name)
            continue
        for place in (EXTRA, vars(socket), vars(fcntl), vars(select), vars(os), vars(errno)):
            if name in place:
                total |= place[name]
                break
        else:
            raise KeyError(name)
    return total
