"""moto's stand-in for AWS on a free port, which stderr names; it ends with its standard input.

moto lets disabled keys go on working. AWS does not, nor does this."""

import os
import sys
import threading

from moto.core.exceptions import JsonRESTError
from moto.kms.responses import KmsResponse
from moto.server import main


def refusing_disabled(method):
    def answer(self):
        backend = self.kms_backend
        key = backend.keys.get(backend.any_id_to_key_id(self._get_param("KeyId")))
        if key and key.key_state == "Disabled":
            raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
        return method(self)

    return answer


def end_with_stdin():
    sys.stdin.read()
    os._exit(0)


KmsResponse.encrypt = refusing_disabled(KmsResponse.encrypt)
KmsResponse.decrypt = refusing_disabled(KmsResponse.decrypt)
threading.Thread(target=end_with_stdin, daemon=True).start()
main(["-p", "0"])
