# SPDX-License-Identifier: GPL-2.0
"""The system calls of scripts, made as C would make them."""

import ctypes
import errno
import os
import struct

import internet
from packet import Failed

from .constants import INFO_FIELDS, INFO_FORMAT, MEMINFO, number
from .script import ANY
from .wire import HERE, THERE

LIBC = ctypes.CDLL(None, use_errno=True)
PORT = 8080  # of the machine when it listens, and of the script when it does


class Iovec(ctypes.Structure):
    """struct iovec"""
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    """struct msghdr"""
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(Iovec)),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


def same(actual, expected, what):
    """Fails unless the kernel answered what the script says."""
    if expected is not ANY and actual != expected:
        raise Failed(f"{what} is {actual!r}, not {expected!r}")


class Calls:
    """The calls, and which descriptor of this process each one of the script is.

    began says when the script's clock was 0 in CLOCK_REALTIME; tolerance is how far a time may be off, in seconds.
    """

    def __init__(self):
        self.fds = {}
        self.buffers = []  # what zero-copy sending may still read
        self.began = 0.0
        self.tolerance = 0.0

    def call(self, name, arguments):
        """Makes a call: (result, name of the error or None)."""
        method = getattr(self, f"do_{name}", None)
        if method is None:
            raise Failed(f"unknown system call {name}")
        ctypes.set_errno(0)
        result = method(*arguments)
        return result, errno.errorcode[ctypes.get_errno()] if result == -1 else None

    def room(self, size, wanted=ANY):
        """A buffer of so many bytes, or a null pointer."""
        if number(wanted) is None:
            return None
        buffer = ctypes.create_string_buffer(max(size, 1))
        self.buffers.append(buffer)
        return buffer

    def opened(self, fd, result):
        """A new descriptor, which the script calls fd."""
        if result >= 0:
            self.fds[fd] = result
            return fd
        return result

    def do_socket(self, _domain, kind, protocol, fd=None):
        """socket; of the family under test"""
        protocol = internet.PROTOCOL if internet.OURS else number(protocol)
        return self.opened(fd, LIBC.socket(int(internet.DOMAIN), number(kind), protocol))

    def do_bind(self, fd, _address, _length):
        """bind, to the port at which the machine listens"""
        place = internet.sockaddr(HERE, PORT)
        return LIBC.bind(self.fds[fd], place, len(place))

    def do_listen(self, fd, backlog):
        """listen"""
        return LIBC.listen(self.fds[fd], backlog)

    def do_connect(self, fd, to, _length):
        """connect, to the script"""
        place = bytes(28) if to == "AF_UNSPEC" else internet.sockaddr(THERE, PORT)
        return LIBC.connect(self.fds[fd], place, len(place))

    def do_accept(self, fd, _address, _length, new=None):
        """accept"""
        return self.opened(new, LIBC.accept(self.fds[fd], None, None))

    def do_close(self, fd):
        """close"""
        return LIBC.close(self.fds.pop(fd))

    def do_shutdown(self, fd, how):
        """shutdown"""
        return LIBC.shutdown(self.fds[fd], number(how))

    def do_fcntl(self, fd, command, argument=0):
        """fcntl"""
        return LIBC.fcntl(self.fds[fd], number(command), ctypes.c_int(number(argument)))

    def do_ioctl(self, fd, request, expected):
        """ioctl that tells a number"""
        value = ctypes.c_int()
        result = LIBC.ioctl(self.fds[fd], ctypes.c_ulong(number(request)), ctypes.byref(value))
        same(value.value, number(expected[0]), "the number")
        return result

    def do_setsockopt(self, fd, level, name, value, length):
        """setsockopt"""
        if isinstance(value, list):
            value = struct.pack("=i", number(value[0]))
        return LIBC.setsockopt(self.fds[fd], number(level), number(name), value, length)

    def do_getsockopt(self, fd, level, name, expected, length):
        """getsockopt of a number"""
        value, size = ctypes.c_int(), ctypes.c_uint(number(length[0]))
        result = LIBC.getsockopt(self.fds[fd], number(level), number(name), ctypes.byref(value), ctypes.byref(size))
        if expected[0] is not ANY:
            same(value.value, number(expected[0]), name)
        return result

    def do_read(self, fd, buffer, size):
        """read"""
        return LIBC.read(self.fds[fd], self.room(size, buffer), size)

    def do_write(self, fd, buffer, size):
        """write"""
        return LIBC.write(self.fds[fd], self.room(size, buffer), size)

    def do_recv(self, fd, buffer, size, flags):
        """recv"""
        return LIBC.recv(self.fds[fd], self.room(size, buffer), size, number(flags))

    def do_recvfrom(self, fd, buffer, size, flags, _address, _length):
        """recvfrom"""
        return LIBC.recvfrom(self.fds[fd], self.room(size, buffer), size, number(flags), None, None)

    def do_send(self, fd, buffer, size, flags):
        """send"""
        return LIBC.send(self.fds[fd], self.room(size, buffer), size, number(flags))

    def do_sendto(self, fd, buffer, size, flags, _address, _length):
        """sendto, to the script"""
        place = internet.sockaddr(THERE, PORT)
        return LIBC.sendto(self.fds[fd], self.room(size, buffer), size, number(flags), place, len(place))

    def message(self, fields):
        """struct msghdr for a message of a script."""
        parts = [(self.room(size, buffer), size) for buffer, size in fields.get("msg_iov", [])]
        vector = (Iovec * max(len(parts), 1))(*((ctypes.cast(buffer, ctypes.c_void_p), size) for buffer, size in parts))
        self.buffers.append(vector)
        return Msghdr(iov=vector, iovlen=len(parts))

    def do_sendmsg(self, fd, fields, flags):
        """sendmsg"""
        return LIBC.sendmsg(self.fds[fd], ctypes.byref(self.message(fields)), number(flags))

    def do_recvmsg(self, fd, fields, flags):
        """recvmsg, with what control messages tell"""
        header = self.message(fields)
        control = ctypes.create_string_buffer(512)
        header.control, header.controllen = ctypes.cast(control, ctypes.c_void_p), len(control)
        result = LIBC.recvmsg(self.fds[fd], ctypes.byref(header), number(flags))
        if result >= 0:
            same(header.flags, number(fields["msg_flags"]), "msg_flags")
            self.check_control(control.raw[:header.controllen], fields.get("msg_control", []))
        return result

    def check_control(self, data, expected):
        """Fails unless these control messages came, in this order."""
        messages = []
        while len(data) >= 16:
            length, level, kind = struct.unpack("=Qii", data[:16])
            messages.append((level, kind, data[16:length]))
            data = data[(length + 7) // 8 * 8:]
        same(len(messages), len(expected), "the number of control messages")
        for (level, kind, value), wanted in zip(messages, expected):
            same((level, kind), (number(wanted["cmsg_level"]), number(wanted["cmsg_type"])), "the control message")
            wanted = wanted["cmsg_data"]
            if not isinstance(wanted, dict):
                same(struct.unpack("=i", value[:4])[0], number(wanted), "cmsg_data")
            elif "scm_sec" in wanted:
                moment = struct.unpack("=qq", value[:16])
                moment = moment[0] + moment[1] / 1e9 - self.began
                due = wanted["scm_sec"] + wanted["scm_nsec"] / 1e9
                if abs(moment - due) > self.tolerance:
                    raise Failed(f"the time stamp is {moment:.6f}, not {due:.6f}")
            else:
                names = ("ee_errno", "ee_origin", "ee_type", "ee_code", "", "ee_info", "ee_data")
                told = dict(zip(names, struct.unpack("=IBBBBII", value[:16])))
                for name, one in wanted.items():
                    same(told[name], number(one), name)

    def do_epoll_create(self, size, fd=None):
        """epoll_create"""
        return self.opened(fd, LIBC.epoll_create(size))

    def do_epoll_ctl(self, fd, operation, target, event):
        """epoll_ctl"""
        packed = struct.pack("=IQ", number(event["events"]), event.get("fd", event.get("ptr", 0)))
        return LIBC.epoll_ctl(self.fds[fd], number(operation), self.fds[target], packed)

    def do_epoll_wait(self, fd, expected, most, timeout):
        """epoll_wait, for one event"""
        buffer = ctypes.create_string_buffer(12 * most)
        result = LIBC.epoll_wait(self.fds[fd], buffer, most, timeout)
        if result > 0:
            events, data = struct.unpack("=IQ", buffer.raw[:12])
            same(events, number(expected["events"]), "events")
            same(data, expected.get("fd", expected.get("ptr", 0)), "data")
        return result

    def do_pipe(self, ends):
        """pipe"""
        self.fds.update(zip(ends, os.pipe()))
        return 0

    def do_open(self, path, flags, fd=None):
        """open"""
        return self.opened(fd, LIBC.open(path, number(flags)))

    def do_splice(self, source, _offset, to, _place, size, flags):
        """splice"""
        return LIBC.splice(self.fds[source], None, self.fds[to], None, ctypes.c_size_t(size), flags)

    def do_sendfile(self, to, source, offset, size):
        """sendfile"""
        place = ctypes.c_long(offset[0])
        return LIBC.sendfile(self.fds[to], self.fds[source], ctypes.byref(place), ctypes.c_size_t(size))

    def info(self, fd):
        """TCP_INFO and SO_MEMINFO, by name."""
        buffer = ctypes.create_string_buffer(512)
        size = ctypes.c_uint(len(buffer))
        if LIBC.getsockopt(self.fds[fd], 6, 11, buffer, ctypes.byref(size)) < 0:
            raise Failed(f"TCP_INFO: {errno.errorcode[ctypes.get_errno()]}")
        told = {f"tcpi_{name}": value for name, value in
                zip(INFO_FIELDS, struct.unpack(INFO_FORMAT, buffer.raw[:struct.calcsize(INFO_FORMAT)]))}
        told["tcpi_snd_wscale"] = told["tcpi_wscales"] & 15
        told["tcpi_rcv_wscale"] = told["tcpi_wscales"] >> 4
        size = ctypes.c_uint(len(buffer))
        if LIBC.getsockopt(self.fds[fd], 1, number("SO_MEMINFO"), buffer, ctypes.byref(size)) == 0:
            told.update(zip(MEMINFO, struct.unpack(f"={len(MEMINFO)}I", buffer.raw[:4 * len(MEMINFO)])))
        return told
