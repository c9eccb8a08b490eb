"""nlptool: pretrain, compress and evaluate small language models, from the command line or from Python."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlptool.api import Model, load, run

__all__ = ["Model", "load", "run"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__:  # loaded on first access: the command line starts without it
        from nlptool import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # so that help() and completion know lazily imported names
