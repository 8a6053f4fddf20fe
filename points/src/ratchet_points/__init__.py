"""Events out of any program: ``init()`` once where it starts, then ``track()`` and ``error()`` anywhere.

    import ratchet_points as points

    points.init(app="shop", version="1.4.2", environment="production")
    points.track("checkout.paid", amount=3)

No call raises into its host, and none waits for anything but one local write.
"""

from ratchet_points.event import SDK_VERSION as __version__
from ratchet_points.hooks import LoggingHandler, report_asyncio, report_uncaught
from ratchet_points.interface import bind, close, error, flush, gauge, init, timed, track

__all__ = [
    "LoggingHandler",
    "__version__",
    "bind",
    "close",
    "error",
    "flush",
    "gauge",
    "init",
    "report_asyncio",
    "report_uncaught",
    "timed",
    "track",
]
