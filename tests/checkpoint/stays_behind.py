#!/usr/bin/python3
"""What stays behind when `holds` (holds.c) is dumped, in the folder where it is started: tcp or unix, the other end of its connection;
or locks: tells whether the locks are held, "whole" or "part" for each that is not."""

import fcntl
import os
import socket
import struct
import sys

NUMBER = struct.Struct("!I")


def tcp() -> None:
    """One connection; it ends when the other end is closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with open("port.part", "w") as file:
            print(server.getsockname()[1], file=file)
        os.rename("port.part", "port")
        connection, _ = server.accept()
    count = 0
    while got := connection.recv(4, socket.MSG_WAITALL):
        count += 1
        if NUMBER.unpack(got)[0] != count:
            sys.exit(f"wrong: number {NUMBER.unpack(got)[0]} came after {count - 1}")
        connection.sendall(NUMBER.pack(count + 1))
    print(f"all {count} came in one connection")


def unix() -> None:
    """Until a number 0 comes."""
    listens = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listens.bind(os.path.abspath("listens"))
    count = 0
    while number := NUMBER.unpack(listens.recv(4))[0]:
        count += 1
        if number != count:
            sys.exit(f"wrong: number {number} came after {count - 1}")
    print(f"all {count} came")


def locks() -> None:
    for name, lock in ("whole", fcntl.flock), ("part", fcntl.lockf):
        with open(f"locked_{name}", "r+") as file:
            try:
                lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                print(name)
            except BlockingIOError:
                pass


if __name__ == "__main__":
    {"tcp": tcp, "unix": unix, "locks": locks}[sys.argv[1]]()
