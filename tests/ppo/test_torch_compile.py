import shutil

import pytest
import torch

from tests.ppo.scene import Scene


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
def test_losses_that_torch_compiles_learn_the_same():
    found = []
    for torch_compile in (False, True):
        scene = Scene()
        found.append(scene.learn(scene.by_torch(torch_compile)))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
