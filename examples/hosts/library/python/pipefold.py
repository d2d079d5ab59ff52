"""libpipefold in Python, by ctypes: reports runs to DX. Needs no package.

    with pipefold.Reporter({"dx_url": "https://dx.example.com", "token": token, "spool": "/var/lib/my-ci/pipefold"}) as reporter:
        reporter.start({"pipeline_name": "build", "pipeline_source": "my-ci", "reference_id": "1"})

Each call records on disk before it returns. Other threads run meanwhile: ctypes gives up the interpreter's lock for the call. Open a reporter after a
fork, as in a worker of `multiprocessing`: in the child of a fork the calls of an older one fail.
"""

import ctypes
import json
import os
from ctypes import POINTER, c_char_p, c_int32, c_size_t, c_uint32, c_void_p
from enum import IntEnum

ABI = 1


class Status(IntEnum):
    OK = 0
    REFUSED = 1
    INVALID = 2
    FAILED = 3
    FORKED = 4


class Error(Exception):
    """What the library could not do. `status` says whose fault it is, and `violations` lists the rules that a refused notification breaks."""

    def __init__(self, status, answer):
        super().__init__(answer.get("error") or f"libpipefold failed with status {status}")
        self.status = status
        self.violations = answer.get("violations", [])


LOG = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p)


def load(path):
    """Loads the library. Its interface must be the one that this module knows."""
    library = ctypes.CDLL(path)
    library.pipefold_abi.restype = c_uint32
    library.pipefold_abi.argtypes = []
    library.pipefold_version.restype = c_char_p
    library.pipefold_version.argtypes = []
    if (abi := library.pipefold_abi()) != ABI:
        raise ImportError(f"{path} has interface {abi}, and this module needs interface {ABI}")
    # An answer is a `void *` here: as a `char *`, ctypes would make bytes of it and lose the place that is to be freed.
    answer = POINTER(c_void_p)
    library.pipefold_open.restype = c_int32
    library.pipefold_open.argtypes = [c_char_p, c_size_t, LOG, c_void_p, POINTER(c_void_p), answer]
    for name in ("start", "step", "finish", "flush", "merge"):
        function = getattr(library, "pipefold_" + name)
        function.restype = c_int32
        function.argtypes = [c_void_p, c_char_p, c_size_t, answer]
    library.pipefold_free.restype = None
    library.pipefold_free.argtypes = [c_void_p]
    library.pipefold_close.restype = None
    library.pipefold_close.argtypes = [c_void_p]
    return library


# LIBPIPEFOLD is for a library outside of the system's directories.
_library = load(os.environ.get("LIBPIPEFOLD", "libpipefold.so.1"))


def version():
    return _library.pipefold_version().decode()


class Reporter:
    """Reports runs to DX. Any number of threads may use it at once."""

    def __init__(self, config=None, log=None):
        """`config` has the keys of pipefold.toml, and `token`; without it all is read from the environment and files, as by the command.
        `log(level, message)` gets messages, 1 for errors to 5 for traces, in the thread of the call that they are about."""
        # Without a function ctypes gives NULL. The object must live as long as the reporter.
        self._log = LOG(lambda _context, level, message: log(level, message.decode())) if log else LOG()
        self._reporter = c_void_p()
        text = None if config is None else json.dumps(config).encode()
        _call(_library.pipefold_open, text, len(text or b""), self._log, None, ctypes.byref(self._reporter))

    def start(self, run):
        """Reports that a run began. Gives the receipt."""
        return self._ask(_library.pipefold_start, run)

    def step(self, step):
        """Reports that a step began or ended. Gives the receipt."""
        return self._ask(_library.pipefold_step, step)

    def finish(self, run):
        """Reports that a run ended, and sends it. Gives the receipt."""
        return self._ask(_library.pipefold_finish, run)

    def flush(self, **options):
        """Sends what waits. The options are those of `pipefold flush`, such as `timeout="10s"`."""
        return self._ask(_library.pipefold_flush, options)

    def merge(self, history):
        """Folds the notifications of one run by DX's rule. Records and sends nothing."""
        return self._ask(_library.pipefold_merge, list(history))

    def close(self):
        """Frees the reporter. What was not sent stays on disk. Later calls fail."""
        reporter, self._reporter = self._reporter, c_void_p()
        _library.pipefold_close(reporter)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _ask(self, function, value):
        text = json.dumps(value).encode()
        return _call(function, self._reporter, text, len(text))


def _call(function, *arguments):
    answer = c_void_p()
    status = function(*arguments, ctypes.byref(answer))
    try:
        said = json.loads(ctypes.string_at(answer)) if answer else {}
    finally:
        _library.pipefold_free(answer)
    if status != Status.OK:
        raise Error(status, said)
    return said
