"""A real mail server for tests: aiosmtpd. Prints its port when it listens, and puts each mail it
takes into a folder. Ends when its standard input does.

Argument: JSON of {folder, port?, certificate?, key?, user?, password?}. With a certificate it takes
mail only after STARTTLS, with a user only after a log-in. It refuses `refused@...` for good."""

import asyncio
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

settings = json.loads(sys.argv[1])
taken = 0


class Mailbox:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        global taken
        taken += 1
        path = os.path.join(settings["folder"], f"{taken}.eml")
        with open(path + ".partial", "wb") as file:
            file.write(envelope.content)
        os.rename(path + ".partial", path)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login.decode(), data.password.decode()) == (settings["user"], settings["password"])
    return AuthResult(success=good)


def protocol():
    options = {}
    if "certificate" in settings:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings["certificate"], settings["key"])
        options.update(tls_context=context, require_starttls=True)
    if "user" in settings:
        options.update(authenticator=authenticate, auth_required=True)
    return SMTP(Mailbox(), hostname="localhost", **options)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", settings.get("port", 0))
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
