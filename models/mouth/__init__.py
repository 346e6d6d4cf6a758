"""The mouth: from speech to the path that it shall take, and from the path to the picture."""
