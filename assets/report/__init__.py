"""The report: every figure beside the statement that it tests."""
