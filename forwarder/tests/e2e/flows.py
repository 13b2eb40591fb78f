#!/usr/bin/env python3
"""Numbered UDP datagrams in many flows from one lab host to another; what arrives of each flow, and in what order.

    flows.py LAB FROM TO ADDRESS [--flows N] [--rate N] [--time SECONDS] [--size N]

Sends to ADDRESS, which is TO's, `rate` datagrams a second in each flow for `time` seconds, and prints

    total sent N received N reordered N duplicated N
    flow F sent N received N longest S gaps N late S

for each flow: the longest time in which nothing of it arrived, how many such times were longer than a second,
and how long before the end of sending the last one to arrive was sent.
"""

import argparse
import ctypes
import os
import socket
import struct
import threading
import time

PORT = 9000
GAP = 1.0


def udp_socket(namespace):
    """A UDP socket in another network namespace; a thread of its own enters it."""
    made = []

    def enter():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{namespace}", "rb") as file:
            if libc.setns(file.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                raise OSError(ctypes.get_errno(), f"setns {namespace}")
        made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return made[0]


class Flow:
    def __init__(self):
        self.seen = set()
        self.highest = -1
        self.reordered = self.duplicated = self.gaps = 0
        self.longest = 0.0
        self.last = None
        self.newest = 0.0

    def add(self, number, sent, now):
        self.duplicated += number in self.seen
        self.reordered += number < self.highest
        self.seen.add(number)
        self.highest = max(self.highest, number)
        self.newest = max(self.newest, sent)
        if self.last is not None:
            self.longest = max(self.longest, now - self.last)
            self.gaps += now - self.last > GAP
        self.last = now


def main():
    parser = argparse.ArgumentParser()
    for name in ("lab", "source", "target", "address"):
        parser.add_argument(name)
    parser.add_argument("--flows", type=int, default=32)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--time", type=float, default=3)
    parser.add_argument("--size", type=int, default=200)
    options = parser.parse_args()
    # The kernel may change the order of a flow whose sender goes from one CPU to another.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    receiver = udp_socket(f"{options.lab}-{options.target}")
    receiver.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    receiver.bind((options.address, PORT))
    receiver.settimeout(0.2)
    flows = [Flow() for _ in range(options.flows)]
    done = threading.Event()

    def receive():
        quiet_since = time.monotonic()
        while not done.is_set() or time.monotonic() - quiet_since < 1.5:
            try:
                data = receiver.recv(9000)
            except socket.timeout:
                continue
            quiet_since = now = time.monotonic()
            flow, number, sent = struct.unpack_from("!IId", data)
            flows[flow].add(number, sent, now)

    thread = threading.Thread(target=receive)
    thread.start()
    senders = []
    for _ in flows:
        sender = udp_socket(f"{options.lab}-{options.source}")
        sender.connect((options.address, PORT))
        senders.append(sender)
    fill = bytes(options.size - 16)
    rounds = int(options.time * options.rate)
    begin = time.monotonic()
    for number in range(rounds):
        for flow, sender in enumerate(senders):
            sender.send(struct.pack("!IId", flow, number, time.monotonic()) + fill)
        ahead = begin + (number + 1) / options.rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    end = time.monotonic()
    done.set()
    thread.join()
    received = sum(len(flow.seen) for flow in flows)
    reordered = sum(flow.reordered for flow in flows)
    duplicated = sum(flow.duplicated for flow in flows)
    print(f"total sent {rounds * len(flows)} received {received} reordered {reordered} duplicated {duplicated}")
    for number, flow in enumerate(flows):
        print(
            f"flow {number} sent {rounds} received {len(flow.seen)} longest {flow.longest:.3f} "
            f"gaps {flow.gaps} late {end - flow.newest:.3f}"
        )


main()
