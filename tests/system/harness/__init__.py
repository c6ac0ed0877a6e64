"""What the system tests are written with: see README.md beside this folder."""

from .case import Failed, Skipped, each, test  # noqa: F401
from .context import Context  # noqa: F401
