"""`python -m services.evaluate.profile_schema`: the JSON schema of profiles, as it is published.

The file stands in the repository, is served by the API, and a test holds it to the code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import schemas
from services.evaluate.profile_label import RouteProfile

FILE: Final = Path(schemas.__file__).with_name("profile.schema.json")
_ID: Final = "urn:keelwatch:profile:1"


def profile_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12) of the version of profiles that this code makes."""
    made = RouteProfile.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": _ID, **made}


def published_schema() -> bytes:
    """The file that is published."""
    return FILE.read_bytes()


def main() -> None:
    """Write the file anew."""
    FILE.write_text(json.dumps(profile_schema(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
