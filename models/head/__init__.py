"""The head of a still picture: how it moves while its person speaks, and what that does to the picture."""
