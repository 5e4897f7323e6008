"""The options that the scripts share."""

import argparse
from pathlib import Path

import pytest

from rnnlit.practice.options import add_run, parsed


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    add_run(parser)
    return parser


def test_files_are_paths_and_nothing_is_resumed_unasked(parser):
    options = parsed(parser, ["--record", "run.json", "--export", "run.safetensors", "--device", "cpu"])
    assert (options.record, options.export) == (Path("run.json"), Path("run.safetensors"))
    assert (options.resume, options.checkpoint, options.csv, options.device) == (False, None, None, "cpu")


@pytest.mark.parametrize(("typed", "resume"), [(["--resume"], True), (["--resume", "auto"], "auto")])
def test_a_run_goes_on_from_a_checkpoint_alone(parser, capsys, typed, resume):
    assert parsed(parser, [*typed, "--checkpoint", "run.safetensors"]).resume == resume
    with pytest.raises(SystemExit):
        parsed(parser, typed)
    assert "--resume needs --checkpoint" in capsys.readouterr().err
