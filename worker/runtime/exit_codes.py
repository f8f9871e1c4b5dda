"""Exit codes of worker processes."""

from __future__ import annotations

EXIT_CONFIG = 78  # EX_CONFIG: the settings are wrong; starting again cannot help
EXIT_AGAIN = 75  # EX_TEMPFAIL: the supervisor starts a new one; leases do the rest
