#!/usr/bin/env python3
"""Sends numbered raw Ethernet frames from one lab host and counts what another receives.

    frames.py LAB FROM TO [--dst MAC] [--src MAC] [--vlan VID [--arrives VID]] [--sizes FIRST-LAST] [--count N] [--pause SECONDS]

One frame of every size in turn (bytes without FCS), N frames in all (default: each size once). A frame
carries its number and a pattern made of it, under the Ethertype 0x88B5 (local experimental, IEEE 802).
With --arrives the frames are expected in another VLAN, 0 for untagged; `tagged` counts those that are.
Prints: sent N / received N / duplicated N / damaged N / reordered N / tagged N, one a line.
Standard library only; the hosts are network namespaces LAB-FROM and LAB-TO, interface eth0.
"""
import argparse
import ctypes
import os
import random
import socket
import struct
import threading
import time

ETHERTYPE = 0x88B5
CLONE_NEWNET = 0x40000000
SOL_PACKET, PACKET_AUXDATA = 263, 8


def raw_socket(namespace):
    """An AF_PACKET socket in another network namespace; a thread of its own enters it."""
    result = []

    def enter():
        with open(f"/run/netns/{namespace}") as handle:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {namespace}")
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sock.bind(("eth0", 3))
        result.append(sock)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return result[0]


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def pattern(number, length):
    return random.Random(number).randbytes(length)


def build(options, number, size):
    header = mac(options.dst) + mac(options.src)
    if options.vlan:
        header += struct.pack("!HH", 0x8100, options.vlan)
    header += struct.pack("!HI", ETHERTYPE, number)
    return header + pattern(number, size - len(header))


def parse(frame, aux):
    """(number, sound, vlan) of one of our frames, else None."""
    vlan = 0
    for level, kind, data in aux:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
            vlan = tci & 0xFFF if status & 0x10 else 0
    at = 12
    if frame[at:at + 2] == b"\x81\x00":
        vlan = struct.unpack("!H", frame[at + 2:at + 4])[0] & 0xFFF
        at += 4
    if frame[at:at + 2] != struct.pack("!H", ETHERTYPE):
        return None
    number = struct.unpack("!I", frame[at + 2:at + 6])[0]
    return number, frame[at + 6:] == pattern(number, len(frame) - at - 6), vlan


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lab")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--dst", required=True)
    parser.add_argument("--src", required=True)
    parser.add_argument("--vlan", type=int, default=0)
    parser.add_argument("--arrives", type=int)
    parser.add_argument("--sizes", default="60-1514")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.0002)
    options = parser.parse_args()
    first, last = (int(n) for n in options.sizes.split("-"))
    count = options.count or last - first + 1
    arrives = options.vlan if options.arrives is None else options.arrives
    grows = 4 * (bool(arrives) - bool(options.vlan))

    sender = raw_socket(f"{options.lab}-{options.source}")
    receiver = raw_socket(f"{options.lab}-{options.target}")
    receiver.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    receiver.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    receiver.settimeout(0.2)
    sizes, seen, totals = {}, set(), dict.fromkeys(("duplicated", "damaged", "reordered", "tagged"), 0)
    done = threading.Event()

    def receive():
        highest, quiet_since = -1, None
        while True:
            try:
                frame, aux, flags, address = receiver.recvmsg(65536, 256)
            except socket.timeout:
                if done.is_set():
                    quiet_since = quiet_since or time.monotonic()
                    if len(seen) == count or time.monotonic() - quiet_since > 1.5:
                        return
                continue
            found = None if address[2] == socket.PACKET_OUTGOING else parse(frame, aux)
            if found is None:
                continue
            quiet_since = None
            number, sound, vlan = found
            whole = len(frame) + (4 if vlan and frame[12:14] != b"\x81\x00" else 0)
            totals["duplicated"] += number in seen
            totals["damaged"] += not sound or whole != sizes.get(number, -9) + grows
            totals["reordered"] += number < highest
            totals["tagged"] += vlan == arrives and (vlan != 0 or options.vlan != 0)
            highest = max(highest, number)
            seen.add(number)

    thread = threading.Thread(target=receive, daemon=True)  # it must not outlive a failure to send
    thread.start()
    for number in range(count):
        size = first + number % (last - first + 1)
        sizes[number] = size
        sender.send(build(options, number, size))
        if options.pause:
            time.sleep(options.pause)
    done.set()
    thread.join()
    print(f"sent {count}")
    print(f"received {len(seen)}")
    for name, value in totals.items():
        print(f"{name} {value}")
    os._exit(0)


if __name__ == "__main__":
    main()
