# SPDX-License-Identifier: ISC
"""
A crowd at a port of IMAP or SMTP, in a process of its own: CONNECTIONS that stall, talk nonsense, or guess. With "tls" or "starttls" behind the
protocol they do so before the handshake, in it, or after it; a number behind that is from how many addresses they come. Says "ready" when all are at it.
"""
import asyncio
import base64
import itertools
import os
import ssl
import sys

CONNECTIONS = 1000
ADDRESSES = 100


async def answer(reader):
    line = await reader.readline()
    if not line:
        raise ConnectionError
    # As fast as somebody far away is: what this machine could do with itself is not the question.
    await asyncio.sleep(0.1)
    return line


async def stall_before_login(talk, at_it):
    talk.say(talk.login[:5])
    at_it()
    await talk.reader.read()


async def stall_in_exchange(talk, at_it):
    await talk.ask(talk.plain)
    at_it()
    await talk.reader.read()


async def garbage(talk, at_it):
    while True:
        await talk.ask(os.urandom(200).replace(b"\n", b""))
        at_it()


async def bad_base64(talk, at_it):
    while True:
        await talk.ask(talk.plain)
        await talk.ask(b"!!!!")
        at_it()


async def bad_exchange(talk, at_it):
    while True:
        await talk.ask(talk.plain + b" AAAA")
        at_it()


async def guess(talk, at_it):
    for n in itertools.count():
        await talk.ask(talk.login + talk.password(f"guess{n}"))
        at_it()


async def silence(talk, at_it):
    at_it()
    await talk.reader.read()


async def half_a_hello(talk, at_it):
    talk.writer.write(HELLO[:len(HELLO) // 2])
    at_it()
    await talk.reader.read()


async def garbage_hello(talk, at_it):
    talk.writer.write(HELLO[:9] + os.urandom(len(HELLO) - 9))
    at_it()
    await talk.reader.read()


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


class Imap:
    plain = b"a AUTHENTICATE PLAIN"
    login = b'a LOGIN "one@example.test" '
    starttls = b"s STARTTLS"

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @staticmethod
    def password(word):
        return b'"%s"' % word.encode()

    def say(self, line):
        self.writer.write(line + b"\r\n")

    async def answer(self):
        return await answer(self.reader)

    async def ask(self, line):
        self.say(line)
        return await self.answer()

    async def greet(self):
        await self.answer()


class Smtp(Imap):
    plain = b"AUTH PLAIN"
    login = b"AUTH PLAIN "
    starttls = b"STARTTLS"

    @staticmethod
    def password(word):
        return base64.b64encode(f"\0one@example.test\0{word}".encode())

    async def answer(self):
        while (line := await answer(self.reader))[3:4] == b"-":
            pass
        return line

    async def greet(self):
        await self.answer()
        await self.ask(b"EHLO crowd")


async def speak(kind, connection, protocol, protection, at_it):
    talk = protocol(*connection)
    # Before the handshake there is nothing to be said where it comes first.
    if kind is silence or (protection == "tls" and kind in BEFORE):
        return await kind(talk, at_it)
    if protection != "tls" or protocol is Imap:
        await talk.greet()
    if protection == "starttls":
        await talk.ask(talk.starttls)
        if kind in WITHIN:
            await talk.writer.start_tls(CONTEXT)
    if protocol is Smtp and protection and kind in WITHIN:
        await (talk.ask(b"EHLO crowd") if protection == "starttls" else talk.greet())
    await kind(talk, at_it)


async def client(number, port, protocol, protection, addresses, started):
    kinds = BEFORE * 5 + WITHIN if protection else WITHIN
    kind = kinds[number % len(kinds)]
    address = (f"127.1.{number % addresses // 250}.{1 + number % addresses % 250}", 0)
    tls = {"ssl": CONTEXT} if protection == "tls" and kind in WITHIN else {}
    while True:
        connection = None
        try:
            connection = await asyncio.open_connection("127.0.0.1", port, local_addr=address, **tls)
            # A server of SMTP need not have room for all at a time: who waits outside is at it, too.
            if protocol is Smtp:
                started.add(number)
            await speak(kind, connection, protocol, protection, lambda: started.add(number))
        except (ConnectionError, OSError):
            if protocol is Smtp:
                started.add(number)
        finally:
            if connection:
                connection[1].close()
        # Whoever is thrown out comes again, but not faster than programs do; their own handshakes cost them most.
        await asyncio.sleep(5 if protection else 0.2)


async def main(port, protocol, protection="", addresses=ADDRESSES):
    started = set()
    clients = [asyncio.create_task(client(number, port, protocol, protection, int(addresses), started)) for number in range(CONNECTIONS)]
    while len(started) < CONNECTIONS:
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    await asyncio.gather(*clients)


if __name__ == "__main__":
    # They have machines of their own: what is measured is the server, not who gets this one's processors.
    os.nice(19)
    asyncio.run(main(int(sys.argv[1]), {"imap": Imap, "smtp": Smtp}[sys.argv[2]], *sys.argv[3:]))
