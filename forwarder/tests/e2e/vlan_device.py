#!/usr/bin/env python3
"""A VLAN device for kernels without one: a tap whose frames go by another interface with a tag, and back.

    vlan_device.py INTERFACE VLAN NAME

Makes the tap NAME with INTERFACE's address; what is sent to it leaves INTERFACE tagged with VLAN, and what INTERFACE
receives with that tag is received there. Prints `attached` when it is there; goes on until it is ended. Standard library
only.
"""
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
TP_STATUS_VLAN_VALID = 1 << 4
ETH_P_ALL = 3


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def trunk(interface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.setblocking(False)
    sock.bind((interface, ETH_P_ALL))
    return sock


def vlan_of(messages):
    """The kernel has taken the tag out of the frame, and tells it beside (struct tpacket_auxdata)."""
    for level, kind, data in messages:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tag, _ = struct.unpack("IIIHHHH", data[:20])
            return tag & 0xFFF if status & TP_STATUS_VLAN_VALID else None
    return None


def main():
    interface, vlan, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    card, wire = tap(name), trunk(interface)
    with open(f"/sys/class/net/{interface}/address") as file:
        address = file.read().strip()
    subprocess.run(["ip", "link", "set", name, "address", address, "up"], check=True)
    print("attached", flush=True)
    tag = struct.pack("!HH", 0x8100, vlan)
    while True:
        ready, _, _ = select.select([card, wire], [], [])
        try:
            if card in ready:
                frame = os.read(card, 70000)
                wire.send(frame[:12] + tag + frame[12:])
            if wire in ready:
                frame, messages, _, _ = wire.recvmsg(70000, 256)
                if vlan_of(messages) == vlan:
                    os.write(card, frame)
        except OSError:
            pass  # the other end is down or full: a lost frame


main()
