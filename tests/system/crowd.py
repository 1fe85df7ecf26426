# SPDX-License-Identifier: ISC
"""
A crowd at an IMAP port, in a process of its own: CONNECTIONS that stall, talk nonsense, or guess. With "tls" behind the port they do so in the
handshake, too, or after it. Says "ready" when all are at it.
"""
import asyncio
import itertools
import os
import ssl
import sys

CONNECTIONS = 1000
NETWORKS = 100


async def answer(reader):
    line = await reader.readline()
    if not line:
        raise ConnectionError
    # As fast as somebody far away is: what this machine could do with itself is not the question.
    await asyncio.sleep(0.1)
    return line


async def stall_before_login(reader, writer, at_it):
    writer.write(b"a LOG")
    at_it()
    await reader.read()


async def stall_in_exchange(reader, writer, at_it):
    writer.write(b"a AUTHENTICATE PLAIN\r\n")
    await answer(reader)
    at_it()
    await reader.read()


async def garbage(reader, writer, at_it):
    while True:
        writer.write(os.urandom(200).replace(b"\n", b"") + b"\r\n")
        await answer(reader)
        at_it()


async def bad_base64(reader, writer, at_it):
    while True:
        writer.write(b"a AUTHENTICATE PLAIN\r\n")
        await answer(reader)
        writer.write(b"!!!!\r\n")
        await answer(reader)
        at_it()


async def bad_exchange(reader, writer, at_it):
    while True:
        writer.write(b"a AUTHENTICATE PLAIN AAAA\r\n")
        await answer(reader)
        at_it()


async def guess(reader, writer, at_it):
    for n in itertools.count():
        writer.write(b'a LOGIN "one@example.test" "guess%d"\r\n' % n)
        await answer(reader)
        at_it()


async def silence(reader, writer, at_it):
    at_it()
    await reader.read()


async def half_a_hello(reader, writer, at_it):
    writer.write(HELLO[:len(HELLO) // 2])
    at_it()
    await reader.read()


async def garbage_hello(reader, writer, at_it):
    writer.write(HELLO[:9] + os.urandom(len(HELLO) - 9))
    at_it()
    await reader.read()


def some_hello():
    """What a client says first."""
    near = ssl.MemoryBIO()
    try:
        CONTEXT.wrap_bio(ssl.MemoryBIO(), near).do_handshake()
    except ssl.SSLWantReadError:
        return near.read()


CONTEXT = ssl._create_unverified_context()
HELLO = some_hello()
BEFORE = [silence, half_a_hello, garbage_hello]
WITHIN = [stall_before_login, stall_in_exchange, garbage, bad_base64, bad_exchange, guess]


async def client(number, port, encrypted, started):
    kinds = BEFORE * 5 + WITHIN if encrypted else WITHIN
    kind = kinds[number % len(kinds)]
    address = (f"127.1.0.{1 + number % NETWORKS}", 0)
    protection = {"ssl": CONTEXT} if encrypted and kind in WITHIN else {}
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=address, **protection)
            if kind in WITHIN:
                await answer(reader)
            await kind(reader, writer, lambda: started.add(number))
        except (ConnectionError, OSError):
            pass
        finally:
            if "writer" in locals():
                writer.close()
        # Whoever is thrown out comes again, but not faster than programs do; their own handshakes cost them most.
        await asyncio.sleep(5 if encrypted else 0.2)


async def main(port, encrypted):
    started = set()
    clients = [asyncio.create_task(client(number, port, encrypted, started)) for number in range(CONNECTIONS)]
    while len(started) < CONNECTIONS:
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    await asyncio.gather(*clients)


if __name__ == "__main__":
    # They have machines of their own: what is measured is the server, not who gets this one's processors.
    os.nice(19)
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:] == ["tls"]))
