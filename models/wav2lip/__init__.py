"""Wav2Lip: one pass of a network draws the face that speaks (ACM Multimedia 2020)."""

from models.wav2lip.network import Network

__all__ = ["Network"]
