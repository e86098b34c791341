"""A real mail server for tests: aiosmtpd. Prints its port when it listens, and puts each mail it
takes into a folder. Ends when its standard input does.

Argument: JSON of {folder, port?, certificate?, key?, tls?, user?, users?, password?}. With a
certificate it takes mail only after STARTTLS, or with `tls` speaks TLS from the first byte; with a user,
or several, it takes it only after a log-in. It refuses `refused@...` for good, and takes what is for
`silent@...` but hangs up instead of saying so. Beside each mail it writes for whom it was."""

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
        with open(path + ".json", "w") as file:
            json.dump({"from": envelope.mail_from, "to": envelope.rcpt_tos}, file)
        with open(path + ".partial", "wb") as file:
            file.write(envelope.content)
        os.rename(path + ".partial", path)
        if any(address.startswith("silent@") for address in envelope.rcpt_tos):
            server.transport.abort()
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    known = settings.get("users", [settings["user"]])
    good = data.login.decode() in known and data.password.decode() == settings["password"]
    # Where nobody has handled it the server itself says no.
    return AuthResult(success=good, handled=good)


def tls():
    if "certificate" not in settings:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings["certificate"], settings["key"])
    return context


def protocol():
    options = {}
    if settings.get("tls"):
        options.update(auth_require_tls=False)
    elif "certificate" in settings:
        options.update(tls_context=tls(), require_starttls=True)
    if "user" in settings:
        options.update(authenticator=authenticate, auth_required=True)
    return SMTP(Mailbox(), hostname="localhost", **options)


async def main():
    loop = asyncio.get_running_loop()
    context = tls() if settings.get("tls") else None
    server = await loop.create_server(protocol, "127.0.0.1", settings.get("port", 0), ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
