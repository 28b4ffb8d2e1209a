"""What `make foreign-tests` runs: tests that others wrote, as they are.

A suite's tests run one by one, each in a network namespace of its own, first as they are and then through oxtcp_run.
"""

import dataclasses

VMS = ("uml", "umlsmp", "stock")

FCNAL_PARTS = ("ipv4_tcp", "ipv6_tcp", "ipv4_bind", "ipv6_bind", "ipv4_netfilter", "ipv6_netfilter")

TOKIO_TESTS = """buffered io_async_fd io_driver io_driver_drop net_bind_resource net_panic net_quickack no_rt
    rt_busy_tick rt_common rt_handle_block_on rt_shutdown_err rt_threaded tcp_accept tcp_accept_ready tcp_connect tcp_echo
    tcp_into_split tcp_into_std tcp_peek tcp_shutdown tcp_socket tcp_split tcp_stream""".split()


@dataclasses.dataclass(frozen=True)
class Test:
    """One command of bash, run in the suite's directory."""

    name: str
    command: str
    reader: str  # how its output tells what passed: a function of readers.py
    timeout: int = 120  # seconds of the guest's clock
    vms: tuple = VMS


@dataclasses.dataclass(frozen=True)
class Suite:
    name: str
    title: str
    what: str  # what is run of it, for the table
    needs: str  # the part of ./build that makes it, "" for none
    directory: str  # of the checkout
    tests: tuple
    guests: int = 1  # that share its tests
    clock: str = "virtual"  # of User-Mode Linux
    layer: str = ""  # of the lab, with the packages it needs


def programs(*names):
    """Programs that need no arguments."""
    return [Test(name, f"./{name}", "ksft") for name in names]


def scripts(*names, timeout=120):
    """Scripts of the kernel's that make their own networks."""
    return [Test(name, f"./{name}.sh", "ksft", timeout) for name in names]


def zerocopy_receive():
    """tcp_mmap's two roles, as its own comment says; it has no script. 32 GB are too many: the sender is stopped."""
    tests = []
    for version, address in (("4", "127.0.0.1"), ("6", "::1")):
        for name, server, client in (("copied", "", ""), ("asked to map", "-z", ""), ("mapped", "-z", "-z")):
            command = (
                f"stdbuf -oL ./tcp_mmap -{version} -s {server} -M 4108 > $EXTRA & server=$!; sleep 0.5; "
                f"timeout 2 ./tcp_mmap -{version} -H {address} {client} -M 4108; sleep 1; kill $server; cat $EXTRA; "
                "grep -q \"^received\" $EXTRA"
            )
            # Over the loopback device only what is sent from the caller's pages arrives in pages of its own.
            if client:
                command += " && ! grep -q \"(0 % mmap\" $EXTRA"
            tests.append(Test(f"tcp_mmap -{version} {name}", command, "ksft", 60))
    return tests


def options(name, *lines, timeout=120):
    """One program with each of these lines of arguments."""
    return [Test(f"{name} {line}", f"./{name} {line}", "ksft", timeout) for line in lines]


SELFTESTS = Suite(
    "selftests",
    "Linux: selftests/net",
    "the programs and scripts of tools/testing/selftests/net that use plain TCP sockets",
    "selftests",
    "build/foreign/selftests/net",
    tuple(
        programs(
            "bind_timewait",
            "bind_wildcard",
            "reuseaddr_conflict",
            "reuseport_bpf",
            "reuseport_bpf_cpu",
            "reuseport_dualstack",
            "sk_bind_sendto_listen",
            "sk_connect_zero_addr",
            "sk_so_peek_off",
            "so_incoming_cpu",
            "so_netns_cookie",
            "socket",
            "tcp_port_share",
        )
        + scripts(
            "ip_local_port_range",
            "reuseaddr_ports_exhausted",
            "reuseport_addr_any",
            "rxtimestamp",
            "stress_reuseport_listen",
        )
        + scripts("tcp_fastopen_backup_key", timeout=900)
        # Its script wants a simulated device, for the numbers of its queues.
        + [
            Test(
                f"tfo {where}",
                "sysctl -q -w net.ipv4.tcp_fastopen=519; ./tfo -s -p 48675 -o $EXTRA & server=$!; sleep 0.5; "
                f"./tfo -c -h {where} -p 48675 && wait $server",
                "ksft",
            )
            for where in ("127.0.0.1", "::1")
        ]
        + [Test(f"bind_bhash -{version}", f"./bind_bhash.sh -{version}", "ksft") for version in "46"]
        + options("tcp_inq", "-4", "-6")
        # Its script sets a knob of MPTCP first, which not every kernel has.
        + [Test("ip_local_port_range alone", "sysctl -q -w net.ipv4.ip_local_port_range='40000 49999'; ./ip_local_port_range", "ksft")]
        + [
            Test(
                f"txtimestamp {version} {flags}".strip(),
                f"tc qdisc add dev lo root netem delay 10ms && ./txtimestamp -v 10000 -V 20000 -t 8000 -S 80000 -{version} "
                f"-L {address} {flags}",
                "ksft",
            )
            for version, address in (("4", "127.0.0.1"), ("6", "::1"))
            for flags in ("", "-C", "-n", "-b", "-c 5")
        ]
        + [Test("fib_rule_tests connect", "PATH=$PWD:$PATH ./fib_rule_tests.sh -t 'fib_rule4_connect fib_rule6_connect'", "fcnal")]
    ),
)

# On a virtual clock what sends as fast as it can for a second would do so for long.
TIMED = Suite(
    "selftests-timed",
    "Linux: selftests/net, by time",
    "the programs and scripts there that send for some time, or measure it",
    "selftests",
    "build/foreign/selftests/net",
    tuple(
        scripts("fin_ack_lat")
        + [Test("tcp_ecmp_failover", "./tcp_ecmp_failover.sh", "fcnal")]
        + [
            Test(f"msg_zerocopy {version} tcp {flags}".strip(), f"./msg_zerocopy.sh {version} tcp -t 1 {flags}", "ksft")
            for version in "46"
            for flags in ("", "-z")
        ]
        + [
            Test(f"io_uring_zerocopy_tx {version} tcp -m {mode}", f"./io_uring_zerocopy_tx.sh {version} tcp -m {mode} -t 1 -n 1", "ksft")
            for version in "46"
            for mode in "123"
        ]
        + zerocopy_receive()
    ),
    guests=2,
    clock="real",
)

#: Both directions at once over 20 ms there and back, a path that loses and one that changes the order.
PATHS = (
    ("clean", "delay 1ms"),
    ("losing", "delay 5ms loss random 0.5%"),
    ("reordering", "delay 5ms reorder 75% 50%"),
)

TRANSFERS = Suite(
    "mptcp_connect",
    "Linux: mptcp_connect",
    "mptcp_connect -s TCP of tools/testing/selftests/net/mptcp: poll, mmap, sendfile, splice, over netem",
    "selftests",
    "build/foreign/selftests/net/mptcp",
    tuple(
        Test(f"{mode} ipv{version} {name} {flags}".strip(), f"$HERE/transfer {version} '{path}' -m {mode} {flags}", "ksft", 300)
        for mode in ("poll", "mmap", "sendfile", "splice")
        for version in "46"
        for name, path in PATHS
        for flags in (("", "-P saveWithPeek", "-P saveAfterPeek", "-c TIMESTAMPNS", "-S 20000 -R 20000") if mode == "poll" else ("",))
    ),
    clock="inf-cpu",
)



def regrtests(*modules, timeout=240):
    """CPython's, whose runner writes what passed."""
    return [Test(module, f"python3 -m test -v --junit-xml \"$EXTRA\" {module}", "junit", timeout) for module in modules]


PYTHON = Suite(
    "cpython",
    "CPython",
    "the modules of Debian's libpython3-testsuite that open sockets",
    "",
    ".",
    tuple(
        regrtests(
            "test_socket",
            "test_ssl",
            "test_asyncio.test_sslproto",
            "test_asyncio.test_ssl",
            "test_asyncio.test_events",
            "test_asyncio.test_base_events",
            "test_asyncio.test_buffered_proto",
            "test_asyncio.test_selector_events",
            "test_asyncio.test_sendfile",
            "test_asyncio.test_server",
            "test_asyncio.test_sock_lowlevel",
            "test_asyncio.test_streams",
            "test_asyncio.test_transports",
            "test_asyncio.test_unix_events",
            "test_selectors",
            "test_select",
            "test_poll",
            "test_epoll",
            "test_httplib",
            "test_httpservers",
            "test_urllib2_localnet",
            "test_ftplib",
            "test_poplib",
            "test_imaplib",
            "test_smtplib",
            "test_xmlrpc",
            "test_docxmlrpc",
            "test_wsgiref",
            "test_logging",
            "test_os",
            "test_multiprocessing_fork.test_processes",
            "test_multiprocessing_fork.test_manager",
            "test_multiprocessing_fork.test_misc",
            "test_multiprocessing_spawn.test_processes",
            "test_robotparser",
        )
        # What it calls the network is the loopback device.
        + regrtests("-u network test_socketserver")
    ),
    guests=2,
    layer="foreign",
)


FCNAL = Suite(
    "fcnal",
    "Linux: fcnal-test",
    "the TCP parts of tools/testing/selftests/net/fcnal-test.sh: addresses, devices, VRFs, SO_DONTROUTE, MD5",
    "selftests",
    "build/foreign/selftests/net",
    tuple(Test(f"fcnal-test -t {part}", f"PATH=$PWD:$PATH ./fcnal-test.sh -t {part}", "fcnal", 1800) for part in FCNAL_PARTS),
    guests=2,
    clock="inf-cpu",
)


def rust(crate, *names, timeout=180):
    """A crate's own tests, one at a time as its authors' machines can."""
    return [Test(f"{crate} {name}", f"../bin/{crate}/{name} --test-threads=1", "libtest", timeout) for name in names]


def examples(crate):
    """The examples in a crate's documentation, which rustdoc compiled to programs."""
    return [Test(f"{crate} examples", f"$HERE/crates/examples ../bin/{crate}-examples", "libtest")]


TOKIO = Suite(
    "tokio",
    "tokio 1.54.1",
    "the tests of the crate that use TCP",
    "crates",
    "build/foreign/crates/tokio",
    tuple(rust("tokio", *TOKIO_TESTS)),
    guests=4,
)

CRATES = Suite(
    "socket2-mio",
    "socket2 0.3.19 and 0.6.5, mio 1.2.4",
    "what the crates ship of their tests: socket2's own of 0.3.19, the examples in the documentation of the others",
    "crates",
    "build/foreign/crates/tokio",
    tuple(rust("socket2_0_3", "socket2") + rust("socket2", "socket2") + rust("mio", "mio") + examples("socket2") + examples("mio")),
)

SUITES = (SELFTESTS, TIMED, TRANSFERS, PYTHON, TOKIO, CRATES, FCNAL)
