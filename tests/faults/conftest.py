"""What the campaigns have tried is shown at the end, right or wrong."""

import pytest
from trials import TABLES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for table in TABLES:
        terminalreporter.write_line(f"\n{table}")
