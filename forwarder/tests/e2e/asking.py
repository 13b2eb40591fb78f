#!/usr/bin/env python3
"""A LAN on which everybody asks for everybody: asking.py INTERFACE RATE SECONDS

Sends RATE broadcast ARP requests a second: of 200 hosts (02:aa:00:00:00:01 and so on, 10.77.1.1 and so on) each asks
for the others in turn. Prints how many there were. Standard library only.
"""
import socket
import struct
import sys
import time

HOSTS = 200


def request(asker, target):
    mac = bytes([2, 0xaa, 0, 0, 0, asker])
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    packet = arp + mac + bytes([10, 77, 1, asker]) + bytes(6) + bytes([10, 77, 1, target])
    return (b"\xff" * 6 + mac + b"\x08\x06" + packet).ljust(60, b"\0")


def main():
    interface, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((interface, 0))
    count, start = int(rate * seconds), time.monotonic()
    for number in range(count):
        asker = number % HOSTS
        target = (asker + 1 + number // HOSTS % (HOSTS - 1)) % HOSTS
        sock.send(request(asker + 1, target + 1))
        ahead = number / rate - (time.monotonic() - start)
        if ahead > 0.002:
            time.sleep(ahead)
    print(count, round(time.monotonic() - start, 2))


main()
