#!/usr/bin/env python3
"""A virtual machine's network card: opens a tap as a hypervisor does, and is a cable from there to an interface.

    vm.py NAMESPACE TAP VM-NAMESPACE INTERFACE

Opens TAP in NAMESPACE with the virtio header, as QEMU does, makes INTERFACE in VM-NAMESPACE, and carries frames between
the two. Prints `attached` when both are there; goes on until it is ended. Standard library only.
"""
import ctypes
import fcntl
import os
import select
import struct
import sys

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
HEADER = bytes(10)  # struct virtio_net_hdr: no offload wanted


def enter(namespace):
    with open(f"/run/netns/{namespace}") as handle:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")


def tap(name, flags):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | flags))
    return fd


def carry(source, target, prepare):
    for _ in range(64):
        try:
            frame = os.read(source, 70000)
        except BlockingIOError:
            return
        try:
            os.write(target, prepare(frame))
        except OSError:
            pass  # the other end is down or full: a lost frame


def main():
    namespace, name, vm_namespace, interface = sys.argv[1:]
    enter(namespace)
    host = tap(name, IFF_VNET_HDR)
    enter(vm_namespace)
    card = tap(interface, 0)
    print("attached", flush=True)
    while True:
        ready, _, _ = select.select([host, card], [], [])
        if host in ready:
            carry(host, card, lambda frame: frame[len(HEADER):])
        if card in ready:
            carry(card, host, lambda frame: HEADER + frame)


main()
