"""Diff2Lip: a diffusion network that draws the lower half of a face so that it speaks (WACV 2024)."""

from models.diff2lip.conditions import Conditions
from models.diff2lip.network import Network
from models.diff2lip.sampler import Sampler, start_noise

__all__ = ["Conditions", "Network", "Sampler", "start_noise"]
