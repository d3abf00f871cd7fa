"""The made password of Milvus' user root."""

from __future__ import annotations

import time

from clipstack.errors import ClipstackError
from clipstack.index.milvus.connection import MilvusConnection
from clipstack.stack.deadline import Deadline

_FIRST = "Milvus"  # Milvus' own first password of root
_SECONDS = 30.0
_PAUSE = 1.0


def ensure(uri: str, token: str, deadline: Deadline) -> None:
    """Change the password of root to that of `token` where it is still Milvus' own first one.

    Milvus before 2.4 knows no other first password. What refuses both is left as it is.
    """
    password = token.partition(":")[2]
    until = time.monotonic() + min(_SECONDS, deadline.left)
    while True:
        if _connects(uri, token):
            return
        if _connects(uri, f"root:{_FIRST}", new_password=password):
            return
        if time.monotonic() + _PAUSE > until:
            return
        time.sleep(_PAUSE)


def _connects(uri: str, token: str, *, new_password: str = "") -> bool:
    try:
        with MilvusConnection(uri, token=token, wait=0) as connection:
            if new_password:
                old_password = token.partition(":")[2]
                connection.client.update_password("root", old_password, new_password)
    except ClipstackError:
        return False
    return True
