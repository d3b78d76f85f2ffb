"""Records the events of a stand-in player, for tests to compare with."""

import json


class Recorder:
    """Appends a line of JSON per event to `FOLDER/PORT.jsonl`; without a folder, does nothing."""

    def __init__(self, folder, port):
        self._path = f"{folder}/{port}.jsonl" if folder else None

    def note(self, event, **facts):
        """Record an event."""
        if self._path:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"event": event, **facts}) + "\n")


def read_records(folder):
    """Return the events of each player by its port, in the order of ports."""
    return {
        int(path.stem): [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted(folder.glob("*.jsonl"), key=lambda path: int(path.stem))
    }
