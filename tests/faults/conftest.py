"""What the campaigns have tried is shown at the end, right or wrong."""

import pytest
import worlds
from trials import TABLES, ask


@pytest.fixture(scope="session")
def all_imports() -> None:
    """The fork server imports all of nlptool, which pays where many trials follow."""
    ask({"imports": "nlptool"})
    worlds.WHOLE.append(True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for table in TABLES:
        terminalreporter.write_line(f"\n{table}")
    if TABLES:
        tried = sum(sum(table.tried.values()) for table in TABLES)
        wrong = sum(len(table.wrong) for table in TABLES)
        terminalreporter.write_line(f"\n{'all campaigns':<40}{tried:>6}{tried - wrong:>7}")
