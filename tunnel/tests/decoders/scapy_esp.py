"""Opens and seals ESP datagrams with scapy, for tests/decoders.rs.

One request a line on standard input, one answer a line on standard output:

    open KEY-AND-SALT HIGH DATAGRAM              -> NEXT-HEADER PAYLOAD | refused
    seal KEY-AND-SALT SPI SEQUENCE NEXT-HEADER PAYLOAD -> DATAGRAM

Byte strings are hex, "-" if empty; numbers are decimal; HIGH is the high half
of the sequence number.
"""

import struct
import sys

from scapy.layers.ipsec import ESP, IPSecIntegrityError, SecurityAssociation, _ESPPlain

ICV = 16


def association(key_and_salt, spi):
    return SecurityAssociation(ESP, spi=spi, crypt_algo="AES-GCM", crypt_key=key_and_salt)


def open_datagram(key_and_salt, high, datagram):
    esp = ESP(unhex(datagram))
    sa = association(unhex(key_and_salt), esp.spi)
    try:
        plain = sa.crypt_algo.decrypt(sa, esp, sa.crypt_key, ICV, esn_en=True, esn=int(high))
    except IPSecIntegrityError:
        return "refused"
    return "%d %s" % (plain.nh, plain.data.hex() or "-")


def seal_datagram(key_and_salt, spi, sequence, next_header, payload):
    sa, sequence = association(unhex(key_and_salt), int(spi)), int(sequence)
    plain = _ESPPlain(
        spi=int(spi),
        seq=sequence & 0xFFFFFFFF,
        iv=struct.pack("!Q", sequence),
        data=unhex(payload),
        nh=int(next_header),
    )
    plain = sa.crypt_algo.pad(plain)
    esp = sa.crypt_algo.encrypt(sa, plain, sa.crypt_key, ICV, esn_en=True, esn=sequence >> 32)
    return bytes(esp).hex()


def unhex(text):
    return bytes.fromhex("" if text == "-" else text)


VERBS = {"open": open_datagram, "seal": seal_datagram}

for line in sys.stdin:
    verb, *arguments = line.split()
    print(VERBS[verb](*arguments), flush=True)
