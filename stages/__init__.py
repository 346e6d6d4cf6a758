"""Built-in stages, one a file."""

#: packages whose code decides what these stages give, beside their own
BUILDS_ON = ("models",)
