"""The rules: functions of an Examination that yield Findings, or raise UndecidedError."""
