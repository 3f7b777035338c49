"""``python -m pyopenface``: the command line."""

from pyopenface.cli import program

program()
