"""memcache.py ADDRESS PORT VALUES: threads set values of memcached and get them back."""

import random
import socket
import sys
import threading

ADDRESS, PORT = sys.argv[1], int(sys.argv[2])
THREADS, VALUES = 4, int(sys.argv[3])
equal = [0] * THREADS


def work(number: int) -> None:
    chance = random.Random(number)
    values = [chance.randbytes(chance.choice((10, 100, 1000, 10_000))) for _ in range(VALUES)]
    with socket.create_connection((ADDRESS, PORT)) as connection, connection.makefile("rwb") as stream:
        for at, value in enumerate(values):
            stream.write(b"set %d.%d 0 0 %d\r\n%s\r\n" % (number, at, len(value), value))
            stream.flush()
            if stream.readline() != b"STORED\r\n":
                return
            equal[number] += 1
            stream.write(b"get %d.%d\r\n" % (number, at))
            stream.flush()
            head = stream.readline().split()
            equal[number] += stream.read(int(head[3])) == value and stream.readline() == b"\r\n" and stream.readline() == b"END\r\n"


threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"{sum(equal)} values equal")
