"""The prediction API: models kept in memory, features of the newest minute, answers over HTTP."""
