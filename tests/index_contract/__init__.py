"""What every implementation of `Index` does: tests that the test file of each one imports.

That file has the fixtures `index`, without any collection, and `other`, opened a second time on the
same target; and for all tests of the module `shared_index` and `shared_other`, where each class has
collections of its own.
"""

from __future__ import annotations

import pytest

for _name in ("catalog", "filled", "material", "scores", "writing"):
    pytest.register_assert_rewrite(f"tests.index_contract.{_name}")
