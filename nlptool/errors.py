"""Errors that users can meet: message, remedy, exit code.

| exit code | meaning                                                |
|-----------|--------------------------------------------------------|
| 0         | done                                                   |
| 1         | a defect of nlptool; the traceback is in a file        |
| 2         | usage or recipe: nothing was read or written           |
| 3         | data: a corpus, a store, a checkpoint, a disk          |
| 4         | the loss became NaN or infinite                        |
| 75        | stopped by a signal, state saved; run again to resume  |
| 130, 143, 129 | ended by Ctrl-C, SIGTERM or SIGHUP where there is no state to save |
| 141       | the reader of a pipe went away                         |
"""


class NlptoolError(Exception):
    """An error that the user can fix.

    message: what is wrong and where (file, line or key), what was expected.
    hint: what to do next, or None.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(NlptoolError):
    """The command line cannot be carried out as written."""

    exit_code = 2


class RecipeError(UsageError):
    """The recipe is wrong; the message lists every problem, one a line."""


class DataError(NlptoolError):
    """A corpus, token store, checkpoint or disk has a fault."""

    exit_code = 3


class NonFiniteLoss(NlptoolError):
    """The loss or the gradient became NaN or infinite."""

    exit_code = 4


class OtherRankFailed(NlptoolError):
    """Another rank is lost, or ended with an error that it reports itself.

    exit_code: that of the other rank, if it is known.
    """

    def __init__(self, message: str, exit_code: int = 3, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


class Preempted(BaseException):
    """A signal stopped the run; its state is saved.

    It is not an Exception: it is raised between any two instructions, also within a library that catches those.
    """

    exit_code = 75

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


Reported = NlptoolError | Preempted
"""Errors that are shown as a message with a hint, and have an exit code."""
