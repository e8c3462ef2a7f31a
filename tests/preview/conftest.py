"""What the tests of the preview share: a project with servers of its own, and a browser."""

from tests.cli.conftest import web, wire

__all__ = ["web", "wire"]
