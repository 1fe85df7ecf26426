# SPDX-License-Identifier: ISC
"""A crowd at the IMAP port, in a process of its own: CONNECTIONS that stall, talk nonsense, or guess. Says "ready" when all are at it."""
import asyncio
import itertools
import os
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


KINDS = [stall_before_login, stall_in_exchange, garbage, bad_base64, bad_exchange, guess]


async def client(number, port, started):
    kind = KINDS[number % len(KINDS)]
    address = (f"127.1.0.{1 + number % NETWORKS}", 0)
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=address)
            await answer(reader)
            await kind(reader, writer, lambda: started.add(number))
        except (ConnectionError, OSError):
            # Whoever is thrown out comes again, but not faster than programs do.
            await asyncio.sleep(0.2)
        finally:
            if "writer" in locals():
                writer.close()


async def main(port):
    started = set()
    clients = [asyncio.create_task(client(number, port, started)) for number in range(CONNECTIONS)]
    while len(started) < CONNECTIONS:
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    await asyncio.gather(*clients)


if __name__ == "__main__":
    # They have machines of their own: what is measured is the server, not who gets this one's processors.
    os.nice(19)
    asyncio.run(main(int(sys.argv[1])))
