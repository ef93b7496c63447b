"""What all tests share."""


def pytest_terminal_summary(terminalreporter):
    """Print what tests have to report (``record_property("report", text)``), also under xdist."""
    for result in terminalreporter.stats.get("passed", []):
        for name, text in getattr(result, "user_properties", ()):
            if name == "report":
                terminalreporter.section(f"report of {result.nodeid}", sep="-")
                terminalreporter.write_line(text)
