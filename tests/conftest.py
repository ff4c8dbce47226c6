import os
from pathlib import Path

import jax
import pytest

jax.config.update("jax_enable_x64", True)


@pytest.fixture(scope="session")
def data_path():
    """Folder of the real test data, which is not part of the project."""
    given = os.environ.get("GAMMAJAX_TEST_DATA")
    path = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("real test data not found: set GAMMAJAX_TEST_DATA to its folder")
    return path
