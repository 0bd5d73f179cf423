"""An ingest to be killed: takes what the journals have into a store whose index has tiny blocks.

`python -m tests.crash.index_child FOLDER`, where FOLDER has the settings as `office.json`. Besides
the program's own failpoints it has two inside of the transaction, when the rows are written that
make messages a segment ("sealed") or segments one ("joined"). Ends when nothing is left.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crmstore import searchindex
from proxy import ingest
from proxy.failpoint import failpoint
from tests.paths.office import Office

# A batch of 3 waits, as does the next; with the third there is a segment of 9. Three make one.
BATCH, SEAL, JOIN = 3, 8, 3


def passing(name: str, function: Callable[..., None], rows: str) -> Callable[..., None]:
    """The function, and a failpoint behind it if it has written a segment."""
    write: Any = getattr(searchindex, rows)

    def passed(*given: Any) -> None:
        written: list[bool] = []

        def noted(*rows_given: Any) -> None:
            write(*rows_given)
            written.append(True)

        setattr(searchindex, rows, noted)
        function(*given)
        setattr(searchindex, rows, write)
        if written:
            failpoint(name)

    return passed


def main() -> None:
    folder = Path(sys.argv[1])
    tables = json.loads((folder / "office.json").read_text())
    url = tables.pop("store")["url"]
    tables.pop("node")
    ingest.BATCH = BATCH
    searchindex.SEAL, searchindex.JOIN = SEAL, JOIN
    searchindex._seal = passing("sealed", searchindex._seal, "_write")
    searchindex._join = passing("joined", searchindex._join, "_write")
    office = Office(folder, url, **tables)
    office.take()
    office.close()
    office.store.close()


if __name__ == "__main__":
    main()
