"""Errors of the embedded stack. None of these ever reaches a client."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot start or go on; the message says why and what to do."""


class ServiceMissing(StackError):
    """A server program is not installed."""


class StateLocked(StackError):
    """Another stack runs on the same state directory."""


class PortTaken(StackError):
    """The port that was asked for is in use."""


class ChildDied(StackError):
    """A child ended by itself.

    Attributes:
        name: the child's name.
        returncode: its exit code; negative is the signal that ended it.
        log_tail: the end of what it wrote since it was started.
    """

    def __init__(self, name: str, *, returncode: int, log_tail: str) -> None:
        self.name = name
        self.returncode = returncode
        self.log_tail = log_tail
        how = f"by signal {-returncode}" if returncode < 0 else f"with exit code {returncode}"
        super().__init__(f"{name} ended {how}; the end of its log:\n{log_tail or '(empty)'}")

    @property
    def port_was_taken(self) -> bool:
        """True if the log says that a port could not be bound."""
        tail = self.log_tail.lower()
        return "is not available" in tail or "already in use" in tail


class NotReady(StackError):
    """A child lives, but did not become ready in time."""
