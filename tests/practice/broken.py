"""A training that is broken off, as if its process had been killed."""

from __future__ import annotations

from types import ModuleType

import pytest


def break_off(module: ModuleType, at: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have the module's trainings raise KeyboardInterrupt at step `at`, once; returns a 1 for each step."""
    make_step, taken = module.make_step, []

    def breaks(*arguments, **options):
        inner = make_step(*arguments, **options)

        def step(batch):
            taken.append(1)
            if len(taken) == at:
                raise KeyboardInterrupt
            return inner(batch)

        step.scheduler = inner.scheduler
        return step

    monkeypatch.setattr(module, "make_step", breaks)
    return taken
